"""What a process that is up must go on to show: that it is well, alive, and not too old."""

from supervisor.core.checks import OnUnhealthy
from supervisor.core.ending import cut_short
from supervisor.core.events import Cause
from supervisor.core.instants import Now
from supervisor.core.slot import Slot, Step
from supervisor.core.states import Idle, Process, Running, Ticking
from supervisor.values import replace


def beat(slot: Slot, now: Now) -> Step:
    """Answer that the job has called in."""
    process = _process(slot)
    heartbeat = process.job.supervision.heartbeat
    if heartbeat is None:
        return slot, ()
    return _with(slot, replace(process, beat_by=now.mono + heartbeat)), ()


def checked(slot: Slot, problem: str | None, now: Now) -> Step:
    """Answer a look at the job's health: so many bad ones in a row act, one good one makes it well."""
    process = _process(slot)
    health = process.job.supervision.health
    if health is None:
        return slot, ()
    if problem is None:
        return (_with(slot, replace(process, bad_checks=0, sick=None)) if process.bad_checks else slot), ()
    count = process.bad_checks + 1
    if count < health.failures:
        return _with(slot, replace(process, bad_checks=count)), ()
    slot = _with(slot, replace(process, bad_checks=count, sick=problem))
    return cut_short(slot, Cause.UNHEALTHY, now) if health.action is OnUnhealthy.RESTART else (slot, ())


def overdue(slot: Slot, now: Now) -> Step | None:
    """Stop a process that has not called in, or is too old, and end the streak of one that has run well.

    Returns None where neither is so.
    """
    process = _process(slot)
    if process.beat_by is not None and process.beat_by <= now.mono:
        return cut_short(slot, Cause.HUNG, now)
    if process.old_at is not None and process.old_at <= now.mono and not isinstance(slot.state, Ticking):
        return cut_short(slot, Cause.MAX_AGE, now)
    if process.well_at is not None and process.well_at <= now.mono:
        return replace(_with(slot, replace(process, well_at=None)), streak=0), ()
    return None


def _process(slot: Slot) -> Process:
    assert isinstance(slot.state, Running | Idle | Ticking)
    return slot.state.process


def _with(slot: Slot, process: Process) -> Slot:
    assert isinstance(slot.state, Running | Idle | Ticking)
    return replace(slot, state=replace(slot.state, process=process))
