"""A Worker whose process ends between its ticks has a new one, and the old one is forgotten."""

import pytest
from world import World, worker

from supervisor.core.actions import Spawn
from supervisor.core.exits import Code, Exit, Lost
from supervisor.core.job import Job
from supervisor.core.states import Idle, process_of


def idle(job: Job) -> World:
    world = World((job,), workers=frozenset({"clock"}))
    assert isinstance(world.state("clock"), Idle)
    return world


@pytest.mark.parametrize("ended", [Lost("the fork server died"), Code(1)])
def test_an_end_between_ticks_starts_a_process_and_ticks_on_it(ended: Exit) -> None:
    world = idle(worker(backoff=None))
    world.end_of("clock", ended)
    spawned = [order.run.run_id for order in world.orders if isinstance(order, Spawn)]
    assert len(spawned) == 2
    process = process_of(world.state("clock"))  # type: ignore[arg-type]
    assert process is not None
    assert process.run.run_id == spawned[-1]
