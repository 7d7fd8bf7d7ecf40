"""What is foreseen is what the core would do: overlaps, waits, peaks, quiet days, daylight saving."""

from datetime import UTC, date, datetime, timedelta

from world import MINUTE, NOON, ONCE_IN_A_LIFE, SECOND, START, World, at, periodic

from supervisor.core.board import Rules
from supervisor.core.forecast import ASSUMED, Forecast, Known, Wait, foresee
from supervisor.core.job import Job, Missed, Overlap
from supervisor.core.runs import Outcome, Saved, SlotId
from supervisor.core.schedule import At, Cron, Delay, Every, parse_cron, zone
from supervisor.values import replace

BERLIN = zone("Europe/Berlin")


def forecast(
    *jobs: Job, until: datetime, known: Known | None = None, max_running: int | None = None, most: int = 1000
) -> Forecast:
    rules = Rules(root=ONCE_IN_A_LIFE, max_running=max_running)
    return foresee(jobs, known or Known(), rules, NOON, until, most=most)


def taking(minutes: float, *names: str) -> Known:
    return Known(lengths=dict.fromkeys(names or ("poll",), minutes * MINUTE))


def seen(found: Forecast) -> list[str]:
    """Return each row as ``12:05 12:10-12:17 overlap``: due, start and end, why it waits or is not run."""
    return [
        " ".join(
            part
            for part in (
                f"{row.due_at:%H:%M}",
                f"{row.started_at:%H:%M}-{row.ended_at:%H:%M}" if row.started_at and row.ended_at else "",
                row.wait or "",
                "" if row.outcome is Outcome.OK else str(row.outcome),
            )
            if part
        )
        for row in found.rows
    ]


def test_the_runs_of_a_while_and_how_long_they_are_assumed_to_take() -> None:
    found = forecast(periodic(), until=at("12:12"))
    assert [(row.started_at, row.ended_at) for row in found.runs] == [
        (at("12:05"), at("12:05") + ASSUMED),
        (at("12:10"), at("12:10") + ASSUMED),
    ]
    assert (found.until, found.complete) == (at("12:12"), True)


def test_a_run_longer_than_its_interval_skips_due_times() -> None:
    found = forecast(periodic(), until=at("12:21"), known=taking(7))
    assert seen(found) == ["12:05 12:05-12:12", "12:10 skipped", "12:15 None", "12:20 skipped"]
    assert [row.overlapped for row in found.rows] == [False, True, False, True]
    assert found.rows[1].reason == "run 1 since 12:05:00"


def test_a_queued_run_waits_for_the_one_before_it() -> None:
    found = forecast(periodic(overlap=Overlap.QUEUE), until=at("12:13"), known=taking(7))
    assert seen(found) == ["12:05 12:05-12:12", "12:10 overlap None"]
    assert found.rows[1].started_at == at("12:12")


def test_a_replaced_run_counts_as_an_overlap() -> None:
    found = forecast(periodic(overlap=Overlap.REPLACE), until=at("12:11"), known=taking(7))
    assert [(row.outcome, row.reason, row.overlapped) for row in found.rows] == [
        (Outcome.STOPPED, "replaced", True),
        (None, None, False),
    ]


def test_runs_side_by_side_make_the_peak() -> None:
    found = forecast(periodic(overlap=Overlap.ALLOW), until=at("12:21"), known=taking(12))
    assert [row.overlapped for row in found.rows] == [False, True, True, False]
    peak = found.peak()
    assert (peak.runs, peak.at, peak.labels) == (3, at("12:15"), ("poll", "poll", "poll"))


def test_max_running_lets_runs_wait_in_due_order() -> None:
    jobs = (periodic("a"), periodic("b"))
    found = forecast(*jobs, until=at("12:09"), known=taking(2, "a", "b"), max_running=1)
    assert [(row.label, row.started_at, row.wait) for row in found.rows] == [
        ("a", at("12:05"), None),
        ("b", at("12:07"), Wait.MAX_RUNNING),
    ]
    assert found.peak().runs == 1


def test_a_run_that_would_exceed_its_timeout_is_seen_to() -> None:
    found = forecast(periodic(timeout=MINUTE, retries=1), until=at("12:08"), known=taking(2))
    assert [(row.outcome, row.run.attempt, row.wait) for row in found.rows] == [
        (Outcome.TIMEOUT, 1, None),
        (Outcome.TIMEOUT, 2, Wait.RETRY),
    ]


def test_jitter_is_told_apart_from_waiting() -> None:
    found = forecast(periodic(jitter=MINUTE), until=at("12:06"))
    assert [row.wait for row in found.rows] == [Wait.JITTER]


def test_delay_counts_from_the_ends_of_foreseen_runs() -> None:
    found = forecast(periodic(schedule=Delay(delay=5 * MINUTE)), until=at("12:20"), known=taking(2))
    assert [row.started_at for row in found.rows] == [at("12:05"), at("12:12"), at("12:19")]


def test_saved_grids_holds_and_missed_due_times_are_those_of_the_next_start() -> None:
    before = World((periodic(), periodic("old")))
    before.until(at("12:07"), lasting=SECOND)
    saved = {slot: replace(each, held=slot.job == "old") for slot, each in before.saved.items()}
    known = Known(saved={slot: shifted(each, -30 * MINUTE) for slot, each in saved.items()})
    found = forecast(periodic(), periodic("old"), until=at("12:03"), known=known)
    assert [(row.due_at, row.outcome, row.wait) for row in found.rows if row.label == "poll"][-1] == (
        at("12:00"),
        Outcome.OK,
        Wait.CATCH_UP,
    )
    assert {row.outcome for row in found.rows if row.label == "old"} == {Outcome.MISSED}


def shifted(saved: Saved, by: timedelta) -> Saved:
    assert saved.anchor is not None
    assert saved.cursor is not None
    return replace(saved, anchor=saved.anchor + by, cursor=saved.cursor + by)


def test_from_a_later_instant_on_nothing_is_missed_and_the_grid_is_the_same() -> None:
    before = World((periodic(missed=Missed.ALL),), now=replace(START, wall=at("11:02")))
    before.until(at("11:09"), lasting=SECOND)
    known = Known(saved=before.saved).as_of(NOON)
    found = forecast(periodic(missed=Missed.ALL), until=at("12:08"), known=known)
    assert [row.due_at for row in found.rows] == [at("12:02"), at("12:07")]


def test_what_waited_to_be_made_up_is_served_by_then() -> None:
    before = World((periodic(missed=Missed.ALL),), now=replace(START, wall=at("11:02")))
    [saved] = before.saved.values()
    known = Known(saved={saved.slot: replace(saved, waiting=(at("10:52"), at("10:57")))})
    found = forecast(periodic(missed=Missed.ALL), until=at("12:08"), known=known.as_of(NOON))
    assert [row.due_at for row in found.rows] == [at("12:02"), at("12:07")]


def test_what_a_job_comes_after_counts_as_ready_and_its_group_as_up() -> None:
    job = replace(periodic(), after=("web",), group="shop")
    assert [row.outcome for row in forecast(job, until=at("12:06")).rows] == [Outcome.OK]


def test_an_instant_that_has_passed_comes_no_more() -> None:
    done = Known(saved={SlotId("poll"): Saved(slot=SlotId("poll"))})
    assert [row.outcome for row in forecast(periodic(schedule=At(at=at("11:00"))), until=at("13:00")).rows] == [
        Outcome.MISSED
    ]
    assert forecast(periodic(schedule=At(at=at("12:30"))), until=at("13:00"), known=done).runs


def test_days_without_a_run_are_whole_dates_of_the_zone() -> None:
    weekdays = periodic(schedule=cron("0 9 * * 1-5"))
    found = forecast(weekdays, until=NOON + timedelta(days=7))
    assert found.days(UTC)[0] == date(2026, 11, 25)
    assert found.quiet_days(UTC, found.runs) == [date(2026, 11, 28), date(2026, 11, 29)]


def cron(expression: str, place: str = "UTC") -> Cron:
    made = parse_cron(expression, zone(place))
    assert isinstance(made, Cron)
    return made


def test_daylight_saving_is_told_of_the_jobs_that_it_touches() -> None:
    jobs = (
        periodic("night", schedule=cron("30 2 * * *", "Europe/Berlin")),
        periodic("noon", schedule=cron("0 12 * * *", "Europe/Berlin")),
        periodic(schedule=Every(interval=timedelta(days=30))),
    )
    found = forecast(*jobs, until=NOON + timedelta(days=365))
    assert [(job.name, said[:10]) for job, said in found.daylight()] == [
        ("night", "2027-03-28"),
        ("night", "2027-10-31"),
    ]


def test_only_enabled_jobs_with_a_schedule_are_looked_at() -> None:
    off = replace(periodic("off"), enabled=False)
    found = forecast(off, replace(periodic("web"), schedule=None), until=at("13:00"))
    assert (found.jobs, found.rows) == ((), ())
    assert found.peak().runs == 0


def test_more_than_can_be_looked_at_ends_early_and_says_so() -> None:
    found = forecast(periodic(schedule=Every(interval=SECOND)), until=at("13:00"), most=60)
    assert (found.complete, len(found.rows)) == (False, 60)
    assert found.until == at("12:01")


def test_what_is_foreseen_is_what_the_board_then_does() -> None:
    jobs = (periodic("a", overlap=Overlap.QUEUE), periodic("b", jitter=MINUTE))
    found = forecast(*jobs, until=at("13:00"), known=replace(taking(6, "a", "b"), seed="seed"))
    world = World(jobs)
    world.until(at("13:00"), lasting=6 * MINUTE)
    assert [(row.label, row.due_at, row.started_at) for row in found.runs] == world.starts
