"""What a wall clock that is set, and a machine that sleeps, mean to due times, waits and time-outs."""

from datetime import timedelta

import pytest
from world import MINUTE, SECOND, START, World, at, periodic

from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Supervision
from supervisor.core.runs import SlotId
from supervisor.core.schedule import At, Delay, Every, parse_cron, zone
from supervisor.core.states import Running
from supervisor.core.status import Health, health
from supervisor.values import replace

HOUR = timedelta(hours=1)
NOON_DAILY = parse_cron("0 12 * * *", zone("UTC"))
STARRED = parse_cron("*/5 * * * *", zone("UTC"))
LONG_AGO = replace(START, wall=at("11:59"))


def starts(world: World) -> list[object]:
    return [start for _, _, start in world.starts]


# -- a step under a supervisor -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (2 * HOUR, "the wall clock was set forward by 2h"),
        (-90 * MINUTE, "the wall clock was set back by 1h30m"),
        (timedelta(milliseconds=-700), "the wall clock was set back by 700ms"),
    ],
)
def test_a_step_is_logged(by: timedelta, said: str) -> None:
    world = World((periodic(),))
    world.set_clock(by)
    assert world.notes == [said]


def test_a_small_drift_is_no_step_and_adds_up_to_one() -> None:
    world = World((periodic(),))
    for _ in range(4):
        world.set_clock(timedelta(milliseconds=200))
    assert world.notes == ["the wall clock was set forward by 600ms"]


def test_back_by_more_than_three_hours_is_a_correction_and_a_fixed_time_runs_again() -> None:
    world = World((periodic(schedule=NOON_DAILY),), now=LONG_AGO)
    world.until(at("12:12"), lasting=SECOND)
    world.set_clock(-4 * HOUR)
    world.until(at("12:01"), lasting=SECOND)
    assert starts(world) == [at("12:00"), at("12:00")]


def test_back_by_exactly_three_hours_is_none() -> None:
    world = World((periodic(schedule=NOON_DAILY),), now=LONG_AGO)
    world.until(at("12:12"), lasting=SECOND)
    world.set_clock(-3 * HOUR)
    world.until(at("12:01"), lasting=SECOND)
    assert starts(world) == [at("12:00")]


def test_an_instant_to_come_waits_for_the_new_clock() -> None:
    world = World((periodic(schedule=At(at=at("12:30"))),))
    world.until(at("12:10"))
    world.set_clock(-4 * HOUR)
    world.until(at("12:31"), lasting=SECOND)
    assert starts(world) == [at("12:30")]


@pytest.mark.parametrize("by", [-4 * HOUR, -HOUR, 2 * HOUR])
def test_every_and_delay_never_notice(by: timedelta) -> None:
    jobs = (periodic("every", Every(interval=5 * MINUTE)), periodic("delay", Delay(delay=5 * MINUTE)))
    world = World(jobs)
    world.until(at("12:07"), lasting=SECOND)
    world.set_clock(by)
    before = len(world.starts)
    world.until(world.now.wall + 4 * MINUTE, lasting=SECOND)
    found = [(name, start - by) for name, _, start in world.starts[before:]]
    assert found == [("every", at("12:10")), ("delay", at("12:10:01"))]
    assert [row for row in world.finals("every") + world.finals("delay") if row[1] == "missed"] == []


@pytest.mark.parametrize("by", [-2 * HOUR, 2 * HOUR])
def test_retries_back_off_and_time_outs_never_notice(by: timedelta) -> None:
    rules = Supervision(backoff=Backoff(initial=MINUTE, factor=1, max=MINUTE, jitter=0))
    job = replace(periodic(schedule=Every(interval=HOUR), retries=1, timeout=10 * MINUTE), supervision=rules)
    world = World((job,))
    world.until(at("13:00:10"))
    world.end_of("poll", Code(1))
    world.set_clock(by)
    world.until(world.now.wall + 59 * SECOND)
    assert len(world.starts) == 1
    world.until(world.now.wall + 2 * SECOND)
    assert len(world.starts) == 2
    world.set_clock(-by)
    world.until(world.now.wall + 9 * MINUTE)
    assert world.stops() == []
    world.until(world.now.wall + MINUTE)
    assert [cause.value for cause in world.stops()] == ["timeout"]


def test_a_run_is_not_late_because_the_clock_was_set_forward() -> None:
    world = World((periodic(late_after=10 * MINUTE),))
    world.until(at("12:06"))
    world.set_clock(2 * HOUR)
    slot = world.board.slots[SlotId("poll")]
    assert isinstance(slot.state, Running)
    assert health(slot, world.now) == (Health.OK, None)
    world.until(world.now.wall + 10 * MINUTE)
    assert health(world.board.slots[SlotId("poll")], world.now)[0] is Health.LATE


# -- a step that nobody saw --------------------------------------------------------------------------------------------


def set_back(job: Job, by: timedelta) -> World:
    """Return the life after one that ended at 12:12, by a clock that was set back in between."""
    first = World((job,), now=LONG_AGO)
    first.until(at("12:12"), lasting=SECOND)
    second = first.killed(until=at("12:13") - by)
    second.until(second.now.wall + 26 * MINUTE, lasting=SECOND)
    return second


def after(world: World, by: timedelta) -> list[timedelta]:
    """Return when runs started, counted from 12:13 on the first clock."""
    return [start - at("12:13") + by for _, _, start in world.starts]


@pytest.mark.parametrize("by", [HOUR, 5 * HOUR, timedelta(days=400)])
def test_set_back_while_the_supervisor_was_down_an_interval_does_not_pause_for_as_long(by: timedelta) -> None:
    every, delay = periodic(schedule=Every(interval=10 * MINUTE)), periodic(schedule=Delay(delay=10 * MINUTE))
    assert after(set_back(every, by), by)[0] <= 10 * MINUTE
    assert after(set_back(delay, by), by)[0] <= 10 * MINUTE


def test_a_starred_cron_follows_the_new_clock() -> None:
    second = set_back(periodic(schedule=STARRED), HOUR)
    assert starts(second)[:2] == [at("11:15"), at("11:20")]


@pytest.mark.parametrize(("by", "expected"), [(30 * MINUTE, []), (4 * HOUR, [at("12:00")])])
def test_a_fixed_time_runs_again_only_after_a_correction(by: timedelta, expected: list[object]) -> None:
    second = set_back(periodic(schedule=NOON_DAILY), by)
    second.until(at("12:01"), lasting=SECOND)
    assert starts(second) == expected


def test_a_second_or_two_repeat_nothing() -> None:
    first = World((periodic("every"), periodic("cron", STARRED)))
    first.until(at("12:05:01"), lasting=timedelta(milliseconds=100))
    second = first.killed(until=at("12:04:59"))
    second.until(at("12:09"), lasting=SECOND)
    assert second.starts == []


# -- a machine that sleeps ---------------------------------------------------------------------------------------------


def test_time_outs_and_back_off_go_on_in_suspend() -> None:
    world = World((periodic(schedule=Every(interval=HOUR), timeout=10 * MINUTE),))
    world.until(at("13:01"))
    world.suspend(at("13:20"))
    assert [cause.value for cause in world.stops()] == ["timeout"]
