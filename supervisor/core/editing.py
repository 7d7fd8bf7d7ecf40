"""What an edited table of the manifest means to a slot that lives."""

from dataclasses import replace
from enum import StrEnum

from supervisor.core.ending import stop
from supervisor.core.events import Cause
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job
from supervisor.core.kind import Kind
from supervisor.core.rows import drop_made_up
from supervisor.core.runs import Trigger
from supervisor.core.slot import Context, Slot, Step
from supervisor.core.starting import begin
from supervisor.core.states import Backoff, Disabled, Failed, Finished, Stopped, Waiting, Wanted, process_of
from supervisor.core.timetable import anew, schedule_id


class Effect(StrEnum):
    """When an edit shows."""

    NONE = "none"
    LIVE = "live"
    NEXT_RUN = "next run"
    RESTART = "restart"


def effect(old: Job, new: Job, kind: Kind | None) -> Effect:
    """Return what applying an edit takes; ``kind`` is what the old target turned out to be."""
    if _told(old) == _told(new):
        return Effect.NONE
    if _process_settings(old) == _process_settings(new):
        return Effect.LIVE
    keeps_process = old.schedule is None or kind is Kind.WORKER
    return Effect.RESTART if keeps_process else Effect.NEXT_RUN


def _told(job: Job) -> Job:
    """Return the job without its place in the file, which moves when another table grows."""
    return replace(job, where="")


def _process_settings(job: Job) -> tuple[object, ...]:
    return (job.target, job.process, job.log, job.schedule is None)


def edited(slot: Slot, job: Job, now: Now, context: Context) -> Step:
    """Apply an edit: a running periodic run ends on its old settings, a long-lived job or Worker restarts."""
    asked = effect(slot.job, job, slot.kind)
    if asked is Effect.NONE:
        return replace(slot, job=job), ()
    was, slot = slot.job, replace(slot, job=job)
    slot, orders = _rescheduled(slot, was, now, context)
    if job.target != was.target:
        kind = Kind.COMMAND if isinstance(job.target, Command) else None
        slot = replace(slot, kind=kind, problem=None)
    restarts = asked is Effect.RESTART or (was.schedule is None) != (job.schedule is None) or not job.enabled
    if process_of(slot.state) is not None:
        if not restarts or slot.wanted is not Wanted.UP:
            return slot, orders
        slot, more = stop(slot, Cause.RELOAD, now, context)
        return slot, (*orders, *more)
    if isinstance(slot.state, Disabled | Waiting) or (restarts and isinstance(slot.state, Failed | Finished | Backoff)):
        slot, more = begin(slot, Trigger.START, now, context)
        return slot, (*orders, *more)
    if isinstance(slot.state, Finished | Failed) and job.schedule is not None and slot.table is not None:
        slot, more = begin(slot, Trigger.START, now, context)
        return slot, (*orders, *more)
    if isinstance(slot.state, Stopped) and not job.enabled:
        return replace(slot, state=Disabled(now)), orders
    return slot, orders


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
