"""The life of a slot: every state and every event, in one ``match``.

Rules of this file:
- ``step`` returns the next slot and the orders; it reads no clock, does nothing, forgets nothing.
- What is wanted and what is are two fields. An end is judged by what is wanted then, not by what was wanted before.
- An end that we asked for is never judged by its exit code; a lost one is never charged.
- A start never overlaps a stop: only ``Exited`` or ``SpawnFailed`` leaves a state that has a process.
- A pair that cannot matter leaves the slot as it is; ``tests/core/lifecycle_table.txt`` names them all.
"""

from supervisor.core import editing, ending, overlap, rows, starting, wellbeing
from supervisor.core.actions import Action, Kill
from supervisor.core.events import (
    Admitted,
    Allowed,
    Beat,
    Begun,
    Cause,
    Checked,
    Committed,
    Due,
    Edited,
    Elapsed,
    Event,
    Exited,
    HoldRequested,
    MemoryExceeded,
    Passed,
    PauseRequested,
    Ready,
    Refused,
    Released,
    Renewed,
    RestartRequested,
    ResumeRequested,
    Serving,
    Spawned,
    SpawnFailed,
    StartRequested,
    StopRequested,
    Superseded,
    TargetFound,
    TargetMissing,
    TickEnded,
)
from supervisor.core.instants import Now
from supervisor.core.runs import Attempt, Outcome, Trigger
from supervisor.core.slot import Context, Slot, Step, to_save
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    New,
    Recording,
    Running,
    Starting,
    Stopped,
    Stopping,
    Ticking,
    Waiting,
    Wanted,
)
from supervisor.values import replace


def step(slot: Slot, event: Event, now: Now, context: Context) -> tuple[Slot, tuple[Action, ...]]:
    """Return the slot after an event, and what shall be done about it, in order."""
    after, actions = _next(slot, event, now, context)
    return after, (*to_save(slot, after), *actions)


def _next(slot: Slot, event: Event, now: Now, context: Context) -> Step:  # noqa: C901, PLR0912, PLR0915  # one match
    match slot.state, event:
        # -- taken on, and what its target turned out to be
        case New(gave_up=str() as reason), Begun() if slot.wanted is Wanted.UP and slot.job.enabled:
            return replace(slot, state=Failed(now, reason, gave_up=True)), ()
        case New(), Begun():
            return starting.begin(slot, Trigger.START, now, context)
        case Waiting(), TargetFound(kind=kind) if slot.job.schedule is not None:
            return starting.begin(replace(slot, kind=kind, problem=None), Trigger.START, now, context)
        case _, TargetFound(kind=kind):
            return replace(slot, kind=kind, problem=None), ()
        case _, TargetMissing(problem=problem):
            return replace(slot, kind=slot.kind or starting.PRESUMED, problem=problem), ()

        # -- due times
        case (New(), (Due() | Passed())) | (Disabled(), Due()):
            return slot, ()
        case _, Passed(due_at=due_at, reason=reason):
            return rows.not_run(slot, Due(due_at), Outcome.MISSED, reason, now, context)
        case ((Waiting() | Idle() | Backoff(retry=None)), Due(trigger=trigger)) if (
            slot.paused and trigger is not Trigger.MANUAL
        ):
            return rows.not_run(slot, event, Outcome.MISSED, "paused", now, context)
        case Backoff(retry=Attempt(), failed=Attempt() as failed), Superseded():
            return replace(slot, state=Waiting(now)), (rows.finalized(failed),)
        case Waiting(), Due() if slot.kind is None:
            return overlap.queue(slot, event, now, context)
        case Waiting(), Due() if slot.is_worker:
            return rows.not_run(slot, event, Outcome.SKIPPED, "no process", now, context)
        case ((Waiting() | Idle()), Due()):
            return starting.run_due(slot, event, now, context)
        case ((Stopped() | Finished() | Failed()), Due(trigger=Trigger.MANUAL)) if slot.is_periodic:
            return starting.run_due(slot, event, now, context)
        case Backoff(retry=Attempt(), failed=Attempt() as failed), Due():
            dropped = replace(slot, state=Waiting(slot.state.since))
            ready, orders = _next(dropped, event, now, context)
            return ready, (rows.finalized(failed), *orders)
        case Backoff(last=last), Due():
            return rows.not_run(slot, event, Outcome.SKIPPED, f"in back-off after {last}", now, context)
        case Stopped(), Due():
            return rows.not_run(slot, event, Outcome.MISSED, "stopped by hand", now, context)
        case Barred(), Due():
            return rows.not_run(slot, event, Outcome.MISSED, "blocked: not started yet", now, context)
        case Failed(reason=reason), Due():
            return rows.not_run(slot, event, Outcome.SKIPPED, reason, now, context)
        case Finished(), Due():
            return rows.not_run(slot, event, Outcome.SKIPPED, "finished", now, context)
        case ((Blocked() | Recording() | Starting() | Running() | Ticking() | Stopping()), Due()):
            return overlap.decide(slot, event, now, context)

        # -- a start, step by step
        case Blocked(run=run, deadline_at=deadline_at), Admitted():
            return starting.launch(slot, run, now, context, deadline_at=deadline_at)
        case Blocked(), Elapsed():
            return starting.waited_too_long(slot, now, context)
        case Recording(run=run), Committed(run_id=run_id) if run.run_id == run_id:
            return starting.recorded(slot, now)
        case Recording(), Elapsed():
            return starting.recorded(slot, now)
        case Starting(process=process), Spawned(run_id=run_id, pid=pid) if process.run.run_id == run_id:
            return starting.spawned(slot, process, pid, now)
        case Starting(process=process), Serving(run_id=run_id) if process.run.run_id == run_id and slot.is_worker:
            return starting.come_up(slot, now, is_serving=True)
        case Starting(process=process), Ready(run_id=run_id) if process.run.run_id == run_id:
            return starting.come_up(slot, now, is_ready=True)
        case Starting(until=until), Elapsed() if until is not None and until <= now.mono:
            return ending.cut_short(slot, Cause.START_TIMEOUT, now)
        case Stopping(process=process), Spawned(run_id=run_id, pid=pid) if process.run.run_id == run_id:
            return replace(slot, state=replace(slot.state, process=replace(process, pid=pid))), ()
        case Running(settles_at=settles_at), Elapsed() if settles_at is not None and settles_at <= now.mono:
            return replace(slot, state=replace(slot.state, settles_at=None), problem=None), ()

        # -- while it is up
        case ((Running(process=process) | Idle(process=process) | Ticking(process=process)), Beat(run_id=run_id)) if (
            process.run.run_id == run_id
        ):
            return wellbeing.beat(slot, now)
        case (
            (Running(process=process) | Idle(process=process) | Ticking(process=process)),
            Checked(run_id=run_id, problem=problem),
        ) if process.run.run_id == run_id:
            return wellbeing.checked(slot, problem, now)
        case ((Running() | Idle() | Ticking()), Elapsed()) if overdue := wellbeing.overdue(slot, now):
            return overdue

        # -- groups
        case Barred(last=None, trigger=trigger), Released():
            return starting.begin(slot, trigger, now, context)
        case Barred(last=str()), Allowed(wait=wait):
            return starting.allowed(slot, wait, now, context)
        case Barred(last=str()), Refused(reason=reason):
            return replace(slot, state=Failed(now, reason, gave_up=True)), ()
        case ((Finished() | Failed() | Backoff(retry=None) | Barred()), Renewed()):
            return replace(slot, state=Barred(since=now, trigger=Trigger.RESTART), streak=0), ()

        # -- ticks
        case Ticking(process=process), TickEnded(run_id=run_id, error=None) if process.run.run_id == run_id:
            return ending.ticked(slot, event, now, context)
        case Stopping(process=process, tick=Ticking()), TickEnded(run_id=run_id, error=None) if (
            process.run.run_id == run_id
        ):
            return ending.ticked(slot, event, now, context)

        # -- ends
        case ((Running(ends_by=ends_by) | Ticking(ends_by=ends_by)), Elapsed()) if (
            ends_by is not None and ends_by <= now.mono
        ):
            return ending.out_of_time(slot, now)
        case (
            (Running(process=process) | Idle(process=process) | Ticking(process=process) | Starting(process=process)),
            MemoryExceeded(run_id=run_id),
        ) if process.run.run_id == run_id:
            return ending.cut_short(slot, Cause.MEMORY, now)
        case Stopping(process=process, kill_at=kill_at), Elapsed() if kill_at is not None:
            return replace(slot, state=replace(slot.state, kill_at=None)), (Kill(process.run.run_id, dump=True),)
        case Backoff(), Elapsed():
            return starting.after_backoff(slot, now, context)
        case (
            (
                Starting(process=process)
                | Running(process=process)
                | Idle(process=process)
                | Ticking(process=process)
                | Stopping(process=process)
                | Recording(process=process)
                | Blocked(process=process)
            ),
            (Exited(run_id=run_id) | SpawnFailed(run_id=run_id)),
        ) if process is not None and process.run.run_id == run_id:
            return ending.ended(slot, process, event, now, context)

        # -- people
        case _, StartRequested():
            return starting.by_hand(replace(slot, window=(), streak=0), now, context)
        case _, StopRequested(cause=Cause.GROUP) if slot.wanted is not Wanted.UP:
            return slot, ()
        case _, StopRequested(cause=cause):
            return ending.stop(replace(slot, wanted=_WANTED[cause]), cause, now, context)
        case _, HoldRequested():
            return replace(slot, wanted=Wanted.HELD), ()
        case ((Starting() | Running() | Idle() | Ticking()), RestartRequested(cause=cause)):
            return ending.stop(replace(slot, wanted=Wanted.UP, window=(), streak=0), cause, now, context)
        case ((Recording(process=None) | Blocked(process=None)), RestartRequested()):
            return slot, ()
        case ((Recording() | Blocked()), RestartRequested(cause=cause)):
            return ending.stop(replace(slot, wanted=Wanted.UP, window=(), streak=0), cause, now, context)
        case Waiting(), RestartRequested() if not context.cleared:  # with its group, which comes to it again
            return starting.begin(replace(slot, window=(), streak=0), Trigger.MANUAL, now, context)
        case _, RestartRequested():
            return starting.by_hand(replace(slot, window=(), streak=0), now, context)
        case _, PauseRequested():
            return ending.pause(slot, now, context)
        case _, ResumeRequested():
            return replace(slot, paused=False, tally=replace(slot.tally, failed_in_a_row=0)), ()
        case _, Edited():
            return editing.edited(slot, event, now, context)
    return slot, ()


_WANTED = {
    Cause.STOP: Wanted.HELD,
    Cause.GROUP: Wanted.UP,
    Cause.REMOVED: Wanted.REMOVED,
    Cause.SHUTDOWN: Wanted.ENDING,
}
