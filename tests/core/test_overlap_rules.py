"""What becomes of a due time that finds a run of its job active, beyond the table of examples."""

from datetime import timedelta

import pytest
from world import MINUTE, SECOND, World, at, periodic, replace, worker

from supervisor.core.events import PauseRequested, StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Overlap, Supervision
from supervisor.core.runs import NotRun, SlotId
from supervisor.core.schedule import Every
from supervisor.core.states import Running, Waiting
from supervisor.core.status import report

HOUR = timedelta(hours=1)


def reasons(world: World) -> list[tuple[object, str]]:
    return [(row.run.due_at, row.reason) for row in world.rows if isinstance(row, NotRun)]


def test_the_latest_due_time_is_kept_in_the_queue_and_the_one_before_says_so() -> None:
    world = World((periodic(overlap=Overlap.QUEUE),))
    world.until(at("12:16"))
    assert reasons(world) == [(at("12:10"), "a later due time took its place in the queue")]
    world.end(min(world.alive))
    world.until(at("12:17"))
    assert world.starts[-1] == ("poll", at("12:15"), at("12:16"))


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, [("skipped", "run 2 since 12:05:00")]),
        (Overlap.ALLOW, [("skipped", "run 2 since 12:05:00")]),
        (Overlap.QUEUE, []),
    ],
)
def test_a_tick_still_running_is_an_active_run(overlap: Overlap, expected: list[tuple[str, str]]) -> None:
    job = replace(worker(), timing=periodic(overlap=overlap).timing)
    world = World((job,), workers=frozenset({"clock"}))
    world.until(at("12:11"))
    assert [(row.outcome.value, row.reason) for row in world.rows if isinstance(row, NotRun)] == expected
    world.end_tick_of("clock")
    world.until(at("12:12"))
    assert len([start for _, due, start in world.starts if due == at("12:10")]) == (overlap is Overlap.QUEUE)


def test_replace_ends_the_process_of_a_worker_whose_tick_still_runs_and_ticks_on_a_new_one() -> None:
    job = replace(worker(), timing=periodic(overlap=Overlap.REPLACE).timing)
    world = World((job,), workers=frozenset({"clock"}), obedient=True)
    world.until(at("12:11"))
    assert [cause.value for cause in world.stops()] == ["replaced"]
    assert world.finals("clock")[:1] == [(at("12:05"), "stopped")]
    assert world.starts[-1] == ("clock", at("12:10"), at("12:10"))


# -- side by side ------------------------------------------------------------------------------------------------------


def beside(**timing: object) -> World:
    world = World((periodic(overlap=Overlap.ALLOW, **timing),), max_running=2)
    world.until(at("12:16"))
    return world


def test_a_run_beside_that_finds_no_room_waits_and_outlives_a_crash() -> None:
    first = beside()
    assert [due for _, due, _ in first.starts] == [at("12:05"), at("12:10")]
    second = first.killed(until=at("12:17"))
    assert second.starts == [("poll", at("12:15"), at("12:17"))]
    assert sorted(row for row in second.finals("poll")) == [(at("12:05"), "lost"), (at("12:10"), "lost")]


def test_it_is_missed_where_it_waits_past_missed_within() -> None:
    world = beside(missed_within=3 * MINUTE)
    world.until(at("12:19"))
    assert reasons(world) == [(at("12:15"), "max_running left it no room for 3m")]
    assert world.killed(until=at("12:19:30")).starts == []


def test_it_is_missed_where_the_job_is_paused() -> None:
    world = beside()
    world.tell("poll", PauseRequested())
    assert reasons(world) == [(at("12:15"), "paused")]


def test_only_runs_that_start_are_counted() -> None:
    world = beside(missed_within=3 * MINUTE)
    world.until(at("12:19"))
    assert world.board.slots[SlotId("poll")].tally.runs == 2


def test_a_retry_that_waits_beside_is_dropped_when_the_next_due_time_comes() -> None:
    rules = Supervision(backoff=Backoff(initial=HOUR, factor=1, max=HOUR, jitter=0))
    world = World((replace(periodic(overlap=Overlap.ALLOW, retries=3), supervision=rules),))
    world.until(at("12:11"))
    world.end(max(world.alive), Code(1))
    assert world.finals("poll") == []
    world.until(at("12:15"))
    assert len(world.board.slots) == 2, "the lane of the retry is gone, that of 12:15 is there"
    assert [due for _, due, _ in world.starts] == [at("12:05"), at("12:10"), at("12:15")]


def test_failures_beside_pause_the_job_too() -> None:
    world = World((periodic(overlap=Overlap.ALLOW, pause_after_failures=2),))
    world.until(at("12:16"))
    for _ in range(2):
        world.end(max(world.alive), Code(1))
    world.until(at("12:20"))
    assert reasons(world) == [(at("12:20"), "paused")]


def test_a_job_of_which_only_a_run_beside_goes_on_is_shown_as_running() -> None:
    world = World((periodic(overlap=Overlap.ALLOW),))
    world.until(at("12:11"))
    world.end(min(world.alive))
    main = world.board.slots[SlotId("poll")]
    assert isinstance(main.state, Waiting)
    [row] = report(world.board.slots.values(), {}, world.now, lambda _: "")
    assert (row["state"], row["pid"]) == ("running", max(world.alive))


def test_a_stop_by_hand_ends_all_that_run_side_by_side() -> None:
    world = World((periodic(overlap=Overlap.ALLOW),), obedient=True)
    world.until(at("12:11"))
    slots = [SlotId("poll")]
    world.perform(world.board.tell(slots, StopRequested(), world.now))
    assert world.alive == {}
    assert sorted(outcome for _, outcome in world.finals("poll")) == ["stopped", "stopped"]


# -- by hand -----------------------------------------------------------------------------------------------------------


def trigger(job: Job) -> World:
    """Return the world in which the run of 12:05 goes on and another one was asked for at 12:06."""
    world = World((job,), obedient=True)
    world.until(at("12:06"))
    world.perform(world.board.trigger(SlotId("poll"), world.now))
    return world


def test_a_run_by_hand_is_skipped_queued_beside_or_instead_as_overlap_says() -> None:
    assert trigger(periodic()).finals("poll") == [(at("12:06"), "skipped")]
    queued = trigger(periodic(overlap=Overlap.QUEUE))
    queued.end_of("poll")
    queued.until(at("12:07"))
    assert queued.starts[-1] == ("poll", at("12:06"), at("12:06"))
    assert len(trigger(periodic(overlap=Overlap.ALLOW)).alive) == 2
    replaced = trigger(periodic(overlap=Overlap.REPLACE))
    assert replaced.finals("poll") == [(at("12:05"), "stopped")]
    replaced.until(at("12:07"))
    assert isinstance(replaced.state("poll"), Running)


def test_a_run_by_hand_does_not_move_the_grid_also_of_a_paused_job() -> None:
    world = World((periodic(schedule=Every(interval=HOUR)),))
    world.tell("poll", PauseRequested())
    world.until(at("12:30"))
    world.perform(world.board.trigger(SlotId("poll"), world.now))
    world.until(at("12:31"), lasting=SECOND)
    table = world.board.slots[SlotId("poll")].table
    assert world.finals("poll") == [(at("12:30"), "ok")]
    assert table is not None
    assert table.next_due_at == at("13:00")
