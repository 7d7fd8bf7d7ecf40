"""A run that uses more than limits.memory is stopped, and judged failed for that reason, however it then ends."""

import pytest
from world import World, long_lived, periodic, worker

from supervisor.core.actions import Stop
from supervisor.core.events import Cause, MemoryExceeded, StopRequested
from supervisor.core.exits import Code, Exit, Signalled
from supervisor.core.job import Job
from supervisor.core.runs import Closed, Outcome
from supervisor.core.states import Backoff, Stopping, Waiting
from supervisor.core.status import brief


def begun(job: Job) -> World:
    return World((job,), workers=frozenset({"clock"}))


def exceed(world: World) -> None:
    (run_id,) = world.alive
    world.perform(world.board.handle(MemoryExceeded(run_id), world.now))


@pytest.mark.parametrize("how", [Code(0), Code(1), Signalled(15), Signalled(9)])
def test_it_is_stopped_then_failed_for_that_reason_and_restarted_by_policy(how: Exit) -> None:
    world = begun(long_lived())
    exceed(world)
    assert isinstance(world.state("web"), Stopping)
    assert world.stops() == [Cause.MEMORY]
    world.end_of("web", how)
    row = world.rows[-1]
    assert isinstance(row, Closed)
    assert (row.outcome, row.reason, brief(row)) == (Outcome.FAILED, "over limits.memory", "over limits.memory")
    state = world.state("web")
    assert isinstance(state, Backoff)
    assert state.last == "over limits.memory"


def test_told_again_it_is_not_stopped_again() -> None:
    world = begun(long_lived())
    exceed(world)
    exceed(world)
    assert len([order for order in world.orders if isinstance(order, Stop)]) == 1


def test_a_scheduled_run_is_tried_again_where_retries_say_so() -> None:
    world = begun(periodic(run_at_start=True, retries=1))
    exceed(world)
    world.end_of("poll", Signalled(15))
    assert isinstance(world.state("poll"), Backoff)
    assert [row.final for row in world.rows if isinstance(row, Closed)] == [False]


def test_a_worker_between_its_ticks_is_stopped_too() -> None:
    world = begun(worker())
    exceed(world)
    assert world.stops() == [Cause.MEMORY]


def test_a_stop_by_hand_that_came_first_stays_a_stop_by_hand() -> None:
    world = begun(long_lived())
    world.tell("web", StopRequested())
    exceed(world)
    world.end_of("web", Code(0))
    assert [row.outcome for row in world.rows if isinstance(row, Closed)] == [Outcome.STOPPED]


def test_what_the_kernel_killed_for_want_of_memory_is_failed_and_named() -> None:
    world = begun(periodic(run_at_start=True))
    world.end_of("poll", Signalled(9, was_oom_killed=True))
    row = world.rows[-1]
    assert isinstance(row, Closed)
    assert (row.outcome, row.signal, row.reason, brief(row)) == (Outcome.FAILED, 9, "OOMKilled", "OOMKilled")
    assert isinstance(world.state("poll"), Waiting)
