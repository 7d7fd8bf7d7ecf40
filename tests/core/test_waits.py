"""What a command that waits for a slot is told."""

import pytest
from world import SECOND, World, at, periodic

from supervisor.core.runs import SlotId
from supervisor.core.schedule import Reboot, Schedule
from supervisor.core.waits import CameUp, Verdict


@pytest.mark.parametrize(("schedule", "what"), [(None, "its next due time"), (Reboot(), "the next boot")])
def test_a_scheduled_job_that_is_started_says_what_it_waits_for(schedule: Schedule | None, what: str) -> None:
    world = World((periodic(schedule=schedule),))
    world.until(at("12:01"), lasting=SECOND)
    slot = world.board.slots[SlotId("poll")]
    assert CameUp(slot.tally.restarts).answer(slot) == Verdict(ok=True, message=f"waiting for {what}")
