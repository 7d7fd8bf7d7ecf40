"""Every row of the table of worked examples: every = "5m", first seen 12:00:00, defaults, on a virtual clock."""

from datetime import datetime, timedelta

import pytest
from world import MINUTE, SECOND, START, World, at, periodic

from supervisor.core.events import Edited, PauseRequested, ResumeRequested
from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Missed, Overlap, Supervision
from supervisor.core.runs import Outcome, SlotId, Trigger
from supervisor.core.schedule import Delay, Every, parse_cron, zone

FIVE = Every(interval=5 * MINUTE)
QUICK = 10 * SECOND


def cron(expression: str, **timing: object) -> Job:
    return periodic(schedule=parse_cron(expression, zone("UTC")), **timing)


def starts(world: World) -> list[str]:
    """Return the starts as the table writes them: ``12:05``, and the due time in brackets where it is another."""
    return [written(due, start) for _, due, start in world.starts]


def written(due: datetime | None, start: datetime) -> str:
    assert due is not None
    form = "%H:%M:%S" if start.second else "%H:%M"
    return f"{start:{form}}" if due == start else f"{start:{form}} [{due:%H:%M}]"


def test_quiet() -> None:
    world = World((periodic(),))
    world.until(at("12:16"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:10", "12:15"]


def test_quiet_with_run_at_start() -> None:
    world = World((periodic(run_at_start=True),))
    world.until(at("12:11"), lasting=QUICK)
    assert starts(world) == ["12:00", "12:05", "12:10"]


def test_supervisor_restarted() -> None:
    first = World((periodic(),))
    first.until(at("12:06"), lasting=QUICK)
    second = first.killed(until=at("12:07"))
    second.until(at("12:11"), lasting=QUICK)
    assert starts(first) + starts(second) == ["12:05", "12:10"]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (Missed.ONCE, ["12:31 [12:30]", "12:35"]),
        (Missed.SKIP, ["12:35"]),
        (
            Missed.ALL,
            [
                "12:31 [12:10]",
                "12:31:10 [12:15]",
                "12:31:20 [12:20]",
                "12:31:30 [12:25]",
                "12:31:40 [12:30]",
                "12:35",
            ],
        ),
    ],
)
def test_down_from_1208_to_1231(missed: Missed, expected: list[str]) -> None:
    first = World((periodic(missed=missed),))
    first.until(at("12:08"), lasting=QUICK)
    second = first.killed(until=at("12:31"))
    second.until(at("12:36"), lasting=QUICK)
    assert starts(second) == expected
    due_times = [due for due, _ in first.finals("poll") + second.finals("poll")]
    assert sorted(due_times) == [at(f"12:{minute:02}") for minute in range(5, 36, 5)], "one final row each"


def test_a_loaded_machine_starts_late_and_does_not_move_the_grid() -> None:
    world = World((periodic(),))
    world.until(at("12:04"), lasting=QUICK)
    world.now = type(START)(at("12:05:40"), START.mono + timedelta(minutes=5, seconds=40))
    world.perform(world.board.advance(world.now))
    world.until(at("12:10:30"), lasting=QUICK)
    assert starts(world) == ["12:05:40 [12:05]", "12:10"]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, ["12:05", "12:20"]),
        (Overlap.QUEUE, ["12:05", "12:17 [12:15]", "12:20"]),
        (Overlap.REPLACE, ["12:05", "12:10", "12:15", "12:20"]),
        (Overlap.ALLOW, ["12:05", "12:10", "12:15", "12:20"]),
    ],
)
def test_the_run_of_1205_lasts_twelve_minutes(overlap: Overlap, expected: list[str]) -> None:
    world = World((periodic(overlap=overlap),), obedient=True)
    world.until(at("12:21"), lasting=lambda run: 12 * MINUTE if run.due_at == at("12:05") else QUICK)
    assert starts(world) == expected
    due_times = sorted(due for due, _ in world.finals("poll") if due is not None)
    assert due_times == [at("12:05"), at("12:10"), at("12:15"), at("12:20")], "one final row each"


def test_replace_stops_the_old_run_and_starts_the_new_one_after_its_end() -> None:
    world = World((periodic(overlap=Overlap.REPLACE),))
    world.until(at("12:10"))
    assert [cause.value for cause in world.stops()] == ["replaced"]
    assert starts(world) == ["12:05"]
    world.end(min(world.alive))
    world.until(at("12:11"))
    assert starts(world) == ["12:05", "12:10"]
    assert world.finals("poll") == [(at("12:05"), "stopped")]


def test_allow_runs_side_by_side_up_to_max_parallel() -> None:
    world = World((periodic(overlap=Overlap.ALLOW, max_parallel=2),))
    world.until(at("12:16"))
    assert starts(world) == ["12:05", "12:10"]
    assert world.finals("poll") == [(at("12:15"), "skipped")]
    while world.alive:
        world.end(min(world.alive))
    assert list(world.board.slots) == [SlotId("poll")]


def test_every_skip_says_which_run_was_in_the_way() -> None:
    world = World((periodic(),))
    world.until(at("12:11"))
    skipped = [row for row in world.rows if getattr(row, "outcome", None) is Outcome.SKIPPED]
    assert [row.reason for row in skipped] == ["run 1 since 12:05:00"]  # type: ignore[union-attr]


def test_delay_counts_from_the_end() -> None:
    world = World((periodic(schedule=Delay(delay=5 * MINUTE)),))
    world.until(at("12:20"), lasting=2 * MINUTE)
    assert starts(world) == ["12:05", "12:12", "12:19"]


def test_edited_to_ten_minutes_at_1207() -> None:
    world = World((periodic(),))
    world.until(at("12:07"), lasting=QUICK)
    world.tell("poll", Edited(periodic(schedule=Every(interval=10 * MINUTE))))
    world.until(at("12:28"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:17", "12:27"]


def test_paused_at_1206_resumed_at_1218() -> None:
    world = World((periodic(),))
    world.until(at("12:06"), lasting=QUICK)
    world.tell("poll", PauseRequested())
    world.until(at("12:18"), lasting=QUICK)
    world.tell("poll", ResumeRequested())
    world.until(at("12:21"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:20"]
    assert world.finals("poll") == [
        (at("12:05"), "ok"),
        (at("12:10"), "missed"),
        (at("12:15"), "missed"),
        (at("12:20"), "ok"),
    ]


def test_triggered_at_1207() -> None:
    world = World((periodic(),))
    world.until(at("12:07"), lasting=QUICK)
    world.perform(world.board.trigger(SlotId("poll"), world.now))
    assert next(iter(world.alive.values())).trigger is Trigger.MANUAL
    world.until(at("12:11"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:07", "12:10"]


def test_asleep_from_1206_to_1302() -> None:
    world = World((periodic(),))
    world.until(at("12:06"), lasting=QUICK)
    world.suspend(at("13:02"))
    world.until(at("13:06"), lasting=QUICK)
    assert starts(world) == ["12:05", "13:02 [13:00]", "13:05"]


def test_clock_back_an_hour_a_starred_cron_follows_the_new_clock() -> None:
    world = World((cron("*/5 * * * *"),))
    world.until(at("12:12"), lasting=QUICK)
    world.set_clock(timedelta(hours=-1))
    world.until(at("11:21"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:10", "11:15", "11:20"]


def test_clock_back_an_hour_a_fixed_time_that_has_run_does_not_run_again() -> None:
    world = World((cron("0 12 * * *"),), now=type(START)(at("11:59"), START.mono))
    world.until(at("12:12"), lasting=QUICK)
    world.set_clock(timedelta(hours=-1))
    world.until(at("12:01", day=25), lasting=QUICK)
    assert [start for _, _, start in world.starts] == [at("12:00"), at("12:00", day=25)]


def test_clock_back_an_hour_every_keeps_its_interval() -> None:
    world = World((periodic(),))
    world.until(at("12:12"), lasting=QUICK)
    world.set_clock(timedelta(hours=-1))
    world.until(at("11:21"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:10", "11:15", "11:20"]


def test_clock_forward_two_hours_cron_makes_up_one_run() -> None:
    world = World((cron("*/5 * * * *"),))
    world.until(at("12:12"), lasting=QUICK)
    world.set_clock(timedelta(hours=2))
    world.until(at("14:16"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:10", "14:12 [14:10]", "14:15"]


def test_clock_forward_two_hours_every_does_not_notice() -> None:
    world = World((periodic(),))
    world.until(at("12:12"), lasting=QUICK)
    world.set_clock(timedelta(hours=2))
    world.until(at("14:21"), lasting=QUICK)
    assert starts(world) == ["12:05", "12:10", "14:15", "14:20"]


def test_fails_at_1205_with_three_retries() -> None:
    job = Job(
        name="poll",
        target=periodic().target,
        schedule=FIVE,
        timing=periodic(retries=3).timing,
        supervision=Supervision(
            backoff=Backoff(initial=30 * SECOND, factor=2, max=timedelta(hours=1), jitter=0),
        ),
    )
    world = World((job,))
    world.until(at("12:09:30"), lasting=timedelta(0), ended=Code(1))
    assert starts(world) == ["12:05", "12:05:30 [12:05]", "12:06:30 [12:05]", "12:08:30 [12:05]"]
    assert world.finals("poll") == [(at("12:05"), "failed")]
    world.until(at("12:10"))
    assert starts(world)[-1] == "12:10"


def test_killed_in_the_run_of_1205_it_is_not_started_again() -> None:
    first = World((periodic(),))
    first.until(at("12:05:30"))
    second = first.killed(until=at("12:06"))
    second.until(at("12:11"), lasting=QUICK)
    assert starts(second) == ["12:10"]
