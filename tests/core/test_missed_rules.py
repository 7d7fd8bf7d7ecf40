"""What becomes of due times that nobody could serve, beyond the table of examples."""

from datetime import datetime, timedelta

import pytest
from world import MINUTE, SECOND, START, World, at, long_lived, periodic

from supervisor.core.checks import Told
from supervisor.core.events import PauseRequested, Ready, ResumeRequested
from supervisor.core.job import Job, Missed, Overlap
from supervisor.core.runs import NotRun, Opened, Trigger
from supervisor.core.schedule import Cron, Delay, Every, parse_cron, zone
from supervisor.values import replace

HOUR = timedelta(hours=1)


def cron(expression: str) -> Cron:
    found = parse_cron(expression, zone("UTC"))
    assert isinstance(found, Cron)
    return found


def after_downtime(job: Job, until: str, down_from: str = "12:01", day: int = 24) -> World:
    first = World((job,))
    first.until(at(down_from), lasting=SECOND)
    second = first.killed(until=at(until, day=day))
    second.until(second.now.wall + MINUTE, lasting=SECOND)
    return second


def made_up(world: World) -> list[datetime | None]:
    return [row.run.due_at for row in world.rows if isinstance(row, Opened) and row.run.trigger is Trigger.CATCH_UP]


def missed(world: World) -> list[datetime | None]:
    return [row.run.due_at for row in world.rows if isinstance(row, NotRun) and row.outcome.value == "missed"]


def test_a_made_up_run_is_marked_as_a_catch_up() -> None:
    first = World((periodic(),))
    second = first.killed(until=at("12:06"))
    assert [run.trigger for run in second.alive.values()] == [Trigger.CATCH_UP]


def test_each_due_time_that_is_not_made_up_has_a_row_that_says_why() -> None:
    second = after_downtime(periodic(), "12:21")
    assert made_up(second) == [at("12:20")]
    assert missed(second) == [at("12:05"), at("12:10"), at("12:15")]
    assert {row.reason for row in second.rows if isinstance(row, NotRun)} == {"the supervisor was down"}


def test_of_all_missed_due_times_the_newest_are_made_up_one_after_another() -> None:
    first = World((periodic(missed=Missed.ALL, missed_limit=2),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:31"))
    second.until(at("12:34"), lasting=MINUTE)
    assert [(due, start) for _, due, start in second.starts] == [
        (at("12:25"), at("12:31")),
        (at("12:30"), at("12:32")),
    ]
    assert missed(second) == [at("12:05"), at("12:10"), at("12:15"), at("12:20")]


def test_what_is_older_than_missed_within_is_not_made_up() -> None:
    second = after_downtime(periodic(schedule=Every(interval=10 * MINUTE), missed_within=MINUTE), "12:15")
    assert made_up(second) == []
    assert second.finals("poll") == [(at("12:10"), "missed")]


def test_missed_within_bounds_all_too() -> None:
    second = after_downtime(periodic(missed=Missed.ALL, missed_within=7 * MINUTE), "12:21")
    assert made_up(second) == [at("12:15"), at("12:20")]


@pytest.mark.parametrize("days", [0, 2])
def test_once_makes_up_intervals_of_an_hour_and_more_however_old_they_are(days: int) -> None:
    second = after_downtime(periodic(schedule=Delay(delay=HOUR)), "23:00", day=24 + days)
    assert made_up(second) == [at("13:00")]


@pytest.mark.parametrize(("until", "expected"), [("12:59", [at("12:30")]), ("13:00:01", [])])
def test_once_makes_up_shorter_intervals_within_one_of_them(until: str, expected: list[datetime]) -> None:
    second = after_downtime(periodic(schedule=Delay(delay=30 * MINUTE)), until)
    assert made_up(second) == expected


@pytest.mark.parametrize(
    ("expression", "until", "expected"),
    [
        ("0,10 13 * * *", "13:09", [at("13:00")]),
        ("0,10 13 * * *", "23:00", [at("13:10")]),
        ("5 12,13 * * *", "12:59", [at("12:05")]),
    ],
)
def test_the_interval_of_a_cron_due_time_is_the_distance_to_the_next(
    expression: str, until: str, expected: list[datetime]
) -> None:
    assert made_up(after_downtime(periodic(schedule=cron(expression)), until)) == expected


def test_all_knows_no_age() -> None:
    second = after_downtime(periodic(missed=Missed.ALL, missed_limit=1), "11:59", day=26)
    assert made_up(second) == [at("11:55", day=26)]
    old = after_downtime(periodic(schedule=cron("0,1 13 * * *"), missed=Missed.ALL), "23:00", day=25)
    assert made_up(old) == [at("13:00"), at("13:01"), at("13:00", day=25), at("13:01", day=25)]


def test_a_job_seen_for_the_first_time_has_missed_nothing() -> None:
    world = World((periodic(schedule=Every(interval=HOUR, align_clock=True)),), now=replace(START, wall=at("12:59")))
    world.until(at("13:01"), lasting=SECOND)
    assert world.finals("poll") == [(at("13:00"), "ok")]


def test_what_passed_in_a_pause_is_not_made_up_also_where_the_supervisor_was_down_in_it() -> None:
    first = World((periodic(),))
    first.tell("poll", PauseRequested())
    first.until(at("12:06"))
    second = first.killed(until=at("12:21"))
    second.until(at("12:26"))
    second.tell("poll", ResumeRequested())
    second.until(at("12:31"), lasting=SECOND)
    assert [due for _, due, _ in second.starts] == [at("12:30")]
    assert [at(f"12:{minute:02}") for minute in range(5, 30, 5)] == missed(first) + missed(second)


def test_a_pause_begins_for_what_waits_to_be_made_up() -> None:
    first = World((periodic(missed=Missed.ALL),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:16"))
    second.tell("poll", PauseRequested())
    assert made_up(second) == [at("12:05")]
    assert missed(second) == [at("12:10"), at("12:15")]


def test_a_catch_up_run_obeys_overlap() -> None:
    first = World((periodic(overlap=Overlap.SKIP),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:14"))
    second.until(at("12:16"), lasting=10 * MINUTE)
    assert second.finals("poll")[-1] == (at("12:15"), "skipped")


def test_one_that_finds_a_run_active_is_skipped_too() -> None:
    world = World((periodic(schedule=cron("*/5 * * * *")),))
    world.until(at("12:06"))
    world.set_clock(HOUR)
    assert world.finals("poll")[-1] == (at("13:05"), "skipped")


def test_a_catch_up_run_obeys_timeout_and_retries() -> None:
    first = World((periodic(schedule=Every(interval=HOUR), timeout=MINUTE, retries=1),), obedient=True)
    second = first.killed(until=at("13:10"))
    second.obedient = True
    second.until(at("13:20"))
    assert [row.run.attempt for row in second.rows if row.run.due_at == at("13:00")] == [1, 1, 2, 2]
    assert second.finals("poll") == [(at("13:00"), "timeout")]


def test_a_catch_up_run_has_the_jitter_of_its_due_time_and_none_past_the_next() -> None:
    starts = {}
    for jitter in (timedelta(0), 20 * MINUTE, 10 * HOUR):
        first = World((periodic(schedule=Every(interval=HOUR), jitter=jitter),))
        second = first.killed(until=at("13:10"))
        second.until(at("14:00"), lasting=SECOND)
        starts[jitter] = next(start for _, due, start in second.starts if due == at("13:00"))
    assert starts[timedelta(0)] == at("13:10")
    assert at("13:10") < starts[20 * MINUTE] < at("13:30")
    assert starts[10 * HOUR] == at("14:00")


def test_of_two_absences_only_the_latest_due_time_is_made_up_although_an_earlier_one_waits_for_its_jitter() -> None:
    world = World((periodic(schedule=Every(interval=HOUR), jitter=50 * MINUTE),)).killed(until=at("13:10"))
    assert made_up(world) == []
    world.suspend(at("15:10"))
    world.until(at("16:00"), lasting=SECOND)
    assert (made_up(world), missed(world)) == ([at("15:00")], [at("13:00"), at("14:00")])


def test_a_catch_up_that_waits_for_its_jitter_outlives_a_crash() -> None:
    first = World((periodic(schedule=Every(interval=HOUR), jitter=20 * MINUTE),))
    second = first.killed(until=at("13:10"))
    assert second.starts == []
    third = second.killed(until=at("13:10:01"))
    third.until(at("13:31"), lasting=SECOND)
    assert made_up(third) == [at("13:00")]


@pytest.mark.parametrize("rule", [Missed.ONCE, Missed.ALL])
def test_a_catch_up_waits_for_the_job_that_its_job_comes_after(rule: Missed) -> None:
    batch = replace(periodic("batch", Every(interval=HOUR), missed=rule), after=("db",))
    world = World((long_lived("db", ready=Told.NOTIFY), batch)).killed(until=at("13:10"))
    assert (made_up(world), missed(world)) == ([], [])
    world.perform(world.board.handle(Ready(min(world.alive)), world.now))
    world.until(at("13:11"), lasting=SECOND)
    assert made_up(world) == [at("13:00")]
