"""When a run is due, as far as a supervisor's life, its end and the next one's start have a say in it."""

from datetime import timedelta

import pytest
from world import MINUTE, SECOND, START, World, at, periodic, worker

from supervisor.core.events import StartRequested
from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Missed
from supervisor.core.runs import SlotId
from supervisor.core.schedule import At, Delay, Every, Reboot, Schedule, parse_cron, zone
from supervisor.core.states import Failed, Finished
from supervisor.core.status import Health, health
from supervisor.values import replace

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ONCE = At(at=at("12:05"))
HOURLY = parse_cron("0 * * * *", zone("UTC"))


def next_due(world: World, name: str = "poll") -> object:
    table = world.board.slots[SlotId(name)].table
    assert table is not None
    return table.next_due_at


# -- every -------------------------------------------------------------------------------------------------------------


def test_a_restart_a_redeploy_or_a_late_start_never_moves_the_grid() -> None:
    world = World((periodic(schedule=Every(interval=48 * HOUR)),))
    for day, clock in ((25, "03:17"), (26, "11:59"), (28, "12:00:01")):
        world.until(at(clock, day=day), lasting=MINUTE)
        world = world.killed(until=world.now.wall + 7 * MINUTE)
    assert next_due(world) == at("12:00", day=30)


def test_run_at_start_runs_at_first_sight_and_not_at_each_restart() -> None:
    first = World((periodic(run_at_start=True),))
    first.until(at("12:01"), lasting=SECOND)
    second = first.killed(until=at("12:02"))
    second.until(at("12:04"), lasting=SECOND)
    assert first.starts == [("poll", at("12:00"), at("12:00"))]
    assert second.starts == []


def test_the_grid_of_the_clock_and_an_offset_are_the_same_for_every_supervisor() -> None:
    aligned = periodic("aligned", Every(interval=5 * MINUTE, align_clock=True))
    shifted = periodic("shifted", Every(interval=5 * MINUTE, offset=MINUTE))
    first = World((aligned, shifted), now=replace(START, wall=at("12:02")))
    assert (next_due(first, "aligned"), next_due(first, "shifted")) == (at("12:05"), at("12:08"))
    second = first.killed(until=at("12:04"))
    assert (next_due(second, "aligned"), next_due(second, "shifted")) == (at("12:05"), at("12:08"))


# -- delay -------------------------------------------------------------------------------------------------------------


def test_the_first_run_of_a_delay_comes_one_delay_after_first_sight() -> None:
    assert next_due(World((periodic(schedule=Delay(delay=5 * MINUTE)),))) == at("12:05")


def test_or_at_once_where_it_runs_at_start() -> None:
    world = World((periodic(schedule=Delay(delay=5 * MINUTE), run_at_start=True),))
    world.until(at("12:14"), lasting=2 * MINUTE)
    assert [start for _, _, start in world.starts] == [at("12:00"), at("12:07"), at("12:14")]


def test_a_delay_counts_also_from_a_failed_run() -> None:
    world = World((periodic(schedule=Delay(delay=5 * MINUTE)),))
    world.until(at("12:13"), lasting=2 * MINUTE, ended=Code(1))
    assert [start for _, _, start in world.starts] == [at("12:05"), at("12:12")]


def test_a_delay_counts_also_from_a_skipped_run() -> None:
    rest = Backoff(initial=4 * MINUTE, max=4 * MINUTE, jitter=0)
    world = World((worker(schedule=Delay(delay=5 * MINUTE), backoff=rest),), workers=frozenset({"clock"}))
    world.until(at("12:03"))
    world.end_of("clock", Code(1))
    world.until(at("12:05"))
    assert world.finals("clock")[-1] == (at("12:05"), "skipped")
    assert next_due(world, "clock") == at("12:10")


def test_a_triggered_run_counts_as_a_run_of_a_delay() -> None:
    world = World((periodic(schedule=Delay(delay=5 * MINUTE)),))
    world.until(at("12:02"))
    world.perform(world.board.trigger(SlotId("poll"), world.now))
    world.until(at("12:19"), lasting=MINUTE)
    assert [start for _, _, start in world.starts] == [at("12:02"), at("12:08"), at("12:14")]


def test_the_last_end_of_a_delay_is_saved() -> None:
    first = World((periodic(schedule=Delay(delay=5 * MINUTE)),))
    first.until(at("12:08"), lasting=2 * MINUTE)
    second = first.killed(until=at("12:10"))
    assert next_due(second) == at("12:12")


# -- cron --------------------------------------------------------------------------------------------------------------


def test_reboot_is_once_per_boot() -> None:
    world = World((periodic(schedule=Reboot()),))
    world.until(at("12:01"), lasting=SECOND)
    same = world.killed(until=at("12:05"))
    same.until(at("12:06"), lasting=SECOND)
    other = same.killed(until=at("12:10"), boot="boot-2")
    other.until(at("12:11"), lasting=SECOND)
    assert [len(life.starts) for life in (world, same, other)] == [1, 0, 1]


# -- at ----------------------------------------------------------------------------------------------------------------


def test_an_instant_that_is_done_is_remembered() -> None:
    first = World((periodic(schedule=ONCE),))
    first.until(at("12:06"), lasting=SECOND)
    assert isinstance(first.state("poll"), Finished)
    second = first.killed(until=at("12:10"))
    second.until(at("12:11"))
    assert isinstance(second.state("poll"), Finished)
    assert second.starts == []


@pytest.mark.parametrize("lives", [1, 2])
def test_also_where_the_clock_is_set_back_by_a_day(lives: int) -> None:
    world = World((periodic(schedule=ONCE),))
    world.until(at("12:06"), lasting=SECOND)
    if lives == 1:
        world.set_clock(-DAY)
    else:
        world = world.killed(until=at("12:06", day=23))
    before = len(world.starts)
    world.until(at("12:10"), lasting=SECOND)
    assert len(world.starts) == before


def test_an_instant_past_at_first_sight_is_missed_and_finished() -> None:
    world = World((periodic(schedule=At(at=at("11:00"))),))
    assert isinstance(world.state("poll"), Finished)
    assert world.finals("poll") == [(at("11:00"), "missed")]
    assert world.killed(until=at("12:01")).finals("poll") == [], "once"


@pytest.mark.parametrize("missed", [Missed.ONCE, Missed.ALL])
def test_an_instant_that_came_while_the_supervisor_was_down_is_made_up(missed: Missed) -> None:
    first = World((periodic(schedule=ONCE, missed=missed),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:31"))
    second.until(at("12:32"), lasting=SECOND)
    assert second.starts == [("poll", at("12:05"), at("12:31"))]
    assert isinstance(second.state("poll"), Finished)


def test_an_instant_that_came_and_is_not_made_up_is_missed_and_finished() -> None:
    first = World((periodic(schedule=ONCE, missed=Missed.SKIP),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:31"))
    assert second.finals("poll") == [(at("12:05"), "missed")]
    assert isinstance(second.state("poll"), Finished)


def test_an_instant_whose_run_failed_is_failed_also_for_the_next_supervisor_until_a_start_by_hand() -> None:
    first = World((periodic(schedule=ONCE),))
    first.until(at("12:06"), lasting=SECOND, ended=Code(1))
    second = first.killed(until=at("12:10"))
    assert isinstance(second.state("poll"), Failed)
    assert health(second.board.slots[SlotId("poll")], second.now) == (Health.FAILING, "exit 1")
    second.tell("poll", StartRequested())
    assert isinstance(second.state("poll"), Finished)


def test_the_lost_run_of_an_instant_is_tried_again_as_retries_say() -> None:
    first = World((periodic(schedule=ONCE, retries=1),))
    first.until(at("12:05:10"))
    second = first.killed(until=at("12:10"))
    second.until(at("12:11"), lasting=SECOND)
    assert second.finals("poll")[-1] == (at("12:05"), "ok")
    assert isinstance(second.state("poll"), Finished)


# -- an edit while nobody looked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        (Every(interval=5 * MINUTE), Every(interval=7 * MINUTE), at("13:07")),
        (Delay(delay=5 * MINUTE), Delay(delay=7 * MINUTE), at("13:07")),
        (parse_cron("* * * * *", zone("UTC")), HOURLY, at("14:00")),
        (HOURLY, parse_cron("0 * * * *", zone("Asia/Kolkata")), at("13:30")),
    ],
)
def test_a_schedule_edited_while_the_supervisor_was_down_begins_at_the_start(
    before: Schedule, after: Schedule, due: object
) -> None:
    first = World((periodic(schedule=before, run_at_start=False),))
    first.until(at("12:00:30"))
    edited: tuple[Job, ...] = (periodic(schedule=after, run_at_start=True),)
    second = first.killed(until=at("13:00"), jobs=edited)
    assert second.starts == []
    assert second.finals("poll") == []
    assert next_due(second) == due
