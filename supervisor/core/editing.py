"""What an edited table of the manifest means to a slot that lives."""

from supervisor.core.actions import Action
from supervisor.core.differences import Effect, effect, keeps_process
from supervisor.core.ending import stop
from supervisor.core.events import Cause, Edited
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job
from supervisor.core.kind import Kind
from supervisor.core.rows import drop_made_up, finalized
from supervisor.core.runs import Attempt, Trigger
from supervisor.core.slot import Context, Slot, Step
from supervisor.core.starting import begin
from supervisor.core.states import (
    Backoff,
    Barred,
    Disabled,
    Failed,
    Finished,
    Recording,
    Stopped,
    Waiting,
    Wanted,
    process_of,
)
from supervisor.core.timetable import anew, schedule_id
from supervisor.values import replace

_TURNS = frozenset({Effect.RESTART, Effect.START, Effect.STOP})
"""Effects that do not wait for the next run."""


def edited(slot: Slot, event: Edited, now: Now, context: Context) -> Step:
    """Apply an edit: what lives on restarts where it must; a running periodic run ends on its old settings."""
    job = event.job
    asked = effect(slot.job, job, slot.kind)
    if asked is Effect.NONE:
        return replace(slot, job=job), ()
    was, lives_on, slot = slot.job, keeps_process(slot.job, slot.kind), replace(slot, job=job)
    slot, orders = _rescheduled(slot, was, now, context)
    if job.target != was.target:
        kind = Kind.COMMAND if isinstance(job.target, Command) else None
        slot = replace(slot, kind=kind, problem=None)
    if process_of(slot.state) is not None:
        ends = asked in {Effect.RESTART, Effect.STOP} if lives_on else event.at_once and asked is not Effect.LIVE
        if not ends or slot.wanted is not Wanted.UP:
            return slot, orders
        slot, more = stop(slot, Cause.RELOAD, now, context)
        return slot, (*orders, *more)
    if asked is Effect.STOP and lives_on and isinstance(slot.state, Recording):
        slot, more = stop(slot, Cause.RELOAD, now, context)
        orders = (*orders, *more)
    if _begins(slot, asked):
        dropped = _dropped_retry(slot)
        has_passed = isinstance(slot.state, Waiting)
        slot, more = begin(slot, Trigger.START, now, context, is_gated=not has_passed)
        return slot, (*orders, *dropped, *more)
    if isinstance(slot.state, Stopped | Barred) and not job.enabled:
        return replace(slot, state=Disabled(now)), orders
    return slot, orders


def _begins(slot: Slot, asked: Effect) -> bool:
    """Tell whether an edit brings a slot without a process to where its new job wants it."""
    match slot.state:
        case Disabled() | Waiting():
            return True
        case Failed() | Finished():
            return asked in _TURNS or (slot.job.schedule is not None and slot.table is not None)
        case Backoff():
            return asked in _TURNS
    return False


def _dropped_retry(slot: Slot) -> tuple[Action, ...]:
    match slot.state:
        case Backoff(failed=Attempt() as failed):
            return (finalized(failed),)
    return ()


def _rescheduled(slot: Slot, was: Job, now: Now, context: Context) -> Step:
    """Re-anchor at now where the schedule was edited: an edit has missed nothing and fires nothing by itself."""
    is_same = schedule_id(was) == schedule_id(slot.job)
    if is_same and slot.job.enabled and (slot.table is not None or slot.job.schedule is None):
        return slot, ()
    slot, orders = drop_made_up(slot, "schedule edited", now, context)
    table = None
    if slot.job.schedule is not None and slot.job.enabled:
        table = anew(slot.job, now, context.seed, first_sight=False).table
    return replace(slot, table=table), orders
