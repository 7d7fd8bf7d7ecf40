"""What becomes of a due time that finds a run of its job active: skipped, queued, beside it, or in its place."""

from supervisor.core.actions import Beside
from supervisor.core.ending import stop
from supervisor.core.events import Cause, Due
from supervisor.core.instants import Now
from supervisor.core.job import Overlap
from supervisor.core.rows import attempt, not_run
from supervisor.core.runs import Outcome, Trigger
from supervisor.core.slot import Context, Slot, Step
from supervisor.core.states import Blocked, Recording, Starting, Stopping, Ticking, process_of
from supervisor.values import replace


def decide(slot: Slot, due: Due, now: Now, context: Context) -> Step:
    """Answer a due time while a run is active, by the job's ``overlap``."""
    if slot.paused and due.trigger is not Trigger.MANUAL:
        return not_run(slot, due, Outcome.MISSED, "paused", now, context)
    if _is_coming_up(slot):
        return queue(slot, due, now, context)
    match slot.job.timing.overlap:
        case Overlap.SKIP:
            return not_run(slot, due, Outcome.SKIPPED, _active(slot), now, context)
        case Overlap.QUEUE:
            return queue(slot, due, now, context)
        case Overlap.ALLOW:
            return _beside(slot, due, now, context)
        case Overlap.REPLACE:
            slot, kept = queue(slot, due, now, context)
            if isinstance(slot.state, Stopping):
                return slot, kept
            slot, orders = stop(slot, Cause.REPLACED, now, context)
            return slot, (*kept, *orders)


def _is_coming_up(slot: Slot) -> bool:
    """Tell whether a Worker's process is on its way, whose first tick may wait for it."""
    match slot.state:
        case Starting(process=process) | Stopping(process=process, tick=None):
            return slot.is_worker and process.run.due_at is None
        case Recording(run=run, process=None):
            return slot.is_worker and run.due_at is None
    return False


def queue(slot: Slot, due: Due, now: Now, context: Context) -> Step:
    """Let a due time wait; only the latest waits, the one before gets a row that says so."""
    assert slot.table is not None
    displaced = slot.table.queued
    slot = replace(slot, table=replace(slot.table, queued=due))
    if displaced is None:
        return slot, ()
    return not_run(slot, displaced, Outcome.SKIPPED, "a later due time took its place in the queue", now, context)


def _beside(slot: Slot, due: Due, now: Now, context: Context) -> Step:
    most = slot.job.timing.max_parallel
    if slot.is_worker:
        return not_run(slot, due, Outcome.SKIPPED, _active(slot), now, context)
    if most is not None and len(slot.beside) + 1 >= most:
        return not_run(slot, due, Outcome.SKIPPED, f"max_parallel: {most} runs are active", now, context)
    return slot, (Beside(attempt(slot, due, context)),)


def _active(slot: Slot) -> str:
    """Return which run is in the way, and since when: ``run 41 since 12:05``."""
    match slot.state:
        case Ticking(tick=run, since=since) | Recording(run=run, since=since) | Blocked(run=run, since=since):
            return f"run {run.run_id} since {since.wall:%H:%M:%S}"
    process = process_of(slot.state)
    assert process is not None
    return f"run {process.run.run_id} since {process.began.wall:%H:%M:%S}"
