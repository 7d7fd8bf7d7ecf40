"""The rows of due times that had no process, and what they mean to the timetable."""

from supervisor.core.actions import Action, Keep
from supervisor.core.events import Due
from supervisor.core.instants import Now
from supervisor.core.runs import Attempt, Finalized, NotRun, Outcome, Trigger
from supervisor.core.slot import Context, Slot, Step
from supervisor.core.states import Finished, Waiting
from supervisor.core.timetable import after_run, is_over
from supervisor.values import replace


def attempt(slot: Slot, due: Due, context: Context) -> Attempt:
    """Return a new first attempt of a due time."""
    return Attempt(run_id=next(context.ids), slot=slot.id, due_at=due.due_at, trigger=due.trigger)


def not_run(slot: Slot, due: Due, outcome: Outcome, reason: str, now: Now, context: Context) -> Step:
    """Keep a final row for a due time that is not run; a ``delay`` counts on from here."""
    return unserved(slot, attempt(slot, due, context), outcome, reason, now, context)


def unserved(slot: Slot, run: Attempt, outcome: Outcome, reason: str, now: Now, context: Context) -> Step:
    """Keep a final row for a run that was meant to start and will not."""
    row = NotRun(run=run, at=now.wall, outcome=outcome, reason=reason)
    table = slot.table
    if table is not None and run.trigger is not Trigger.MANUAL:
        table = after_run(slot.job, table, now, context.seed)
    state = Finished(now) if isinstance(slot.state, Waiting) and table is not None and is_over(table) else slot.state
    return replace(slot, state=state, table=table, tally=replace(slot.tally, not_run=row)), (Keep(row),)


def finalized(failed: Attempt) -> Action:
    """Keep that a failed attempt is its due time's last: its retry was dropped."""
    return Keep(Finalized(run_id=failed.run_id))


def drop_made_up(slot: Slot, reason: str, now: Now, context: Context) -> Step:
    """Keep ``missed`` rows for the due times that waited to be made up, and make none of them up."""
    table = slot.table
    if table is None or not (table.backlog or table.queued):
        return slot, ()
    waiting = [Due(each.due_at, Trigger.CATCH_UP) for each in table.backlog]
    if table.queued:
        waiting.append(table.queued)
    slot = replace(slot, table=replace(table, backlog=(), queued=None))
    orders: tuple[Action, ...] = ()
    for due in waiting:
        slot, kept = not_run(slot, due, Outcome.MISSED, reason, now, context)
        orders += kept
    return slot, orders
