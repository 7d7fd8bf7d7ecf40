"""From wanted to running: taking a slot on, launching a run, and each step of its start."""

from datetime import timedelta

from supervisor.core.actions import Keep, Probe, Spawn, Tick, Watch
from supervisor.core.durations import format_duration
from supervisor.core.events import Due
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.kind import Kind
from supervisor.core.rows import attempt, unserved
from supervisor.core.runs import Attempt, Opened, Outcome, Trigger
from supervisor.core.slot import Context, Slot, Step
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    Process,
    Recording,
    Running,
    Starting,
    Stopped,
    Ticking,
    Waiting,
    Wanted,
    earliest,
)
from supervisor.core.status import brief
from supervisor.core.timetable import is_over, made_up_within
from supervisor.values import replace

PRESUMED = Kind.FUNCTION
"""What a target that cannot be had counts as: its due times come, and each run says what is missing."""


def begin(slot: Slot, trigger: Trigger, now: Now, context: Context, *, is_gated: bool = True) -> Step:
    """Bring a slot that has no process to where its job and people want it, as far as group and ``after`` let it.

    Where it is not gated, it has passed that gate before and has only done one of its due runs.
    """
    if not slot.job.enabled:
        return replace(slot, state=Disabled(now)), ()
    if slot.wanted is not Wanted.UP:
        return replace(slot, state=Stopped(now)), ()
    if is_gated and not context.cleared:
        return replace(slot, state=Barred(since=now, trigger=trigger)), ()
    if slot.job.schedule is None or slot.is_worker:
        return launch(slot, fresh(slot, trigger, context), now, context)
    if slot.table is not None and is_over(slot.table):
        return replace(slot, state=_over(slot, trigger, now)), ()
    return replace(slot, state=Waiting(now)), ()


def _over(slot: Slot, trigger: Trigger, now: Now) -> Finished | Failed:
    """Return how a job stands that has had its one instant: as its run ended, until somebody starts it by hand."""
    last = slot.tally.last
    has_failed = last is not None and last.outcome.is_failure and trigger is not Trigger.MANUAL
    return Failed(now, brief(last)) if last is not None and has_failed else Finished(now)


def fresh(slot: Slot, trigger: Trigger, context: Context) -> Attempt:
    """Return a new run without a due time: a long-lived job's, or a Worker's process."""
    return Attempt(run_id=next(context.ids), slot=slot.id, trigger=trigger)


def run_due(slot: Slot, due: Due, now: Now, context: Context) -> Step:
    """Start the run of a due time: a process, or a tick of the idle Worker."""
    return launch(slot, attempt(slot, due, context), now, context)


def launch(slot: Slot, run: Attempt, now: Now, context: Context, *, deadline_at: Mono | None = None) -> Step:
    """Start a run, as soon as ``max_running`` leaves room for it and its row is on disk."""
    is_due = run.due_at is not None
    if is_due and not context.room:
        return _block(slot, run, now, deadline_at)
    if is_due and deadline_at is None and slot.job.timing.deadline is not None:
        deadline_at = now.mono + slot.job.timing.deadline
    process = slot.state.process if is_due and isinstance(slot.state, Idle) else None  # else it is over
    until = now.mono + context.patience
    state = Recording(since=now, run=run, until=until, deadline_at=deadline_at, process=process)
    return replace(slot, state=state), (Keep(Opened(run=run, started_at=now.wall), ack=run.run_id),)


def _block(slot: Slot, run: Attempt, now: Now, deadline_at: Mono | None) -> Step:
    assert slot.job.schedule is not None
    assert run.due_at is not None
    within = made_up_within(slot.job, slot.job.schedule, run.due_at)
    until = earliest(deadline_at, None if within is None else now.mono + within - (now.wall - run.due_at))
    process = slot.state.process if isinstance(slot.state, Idle) else None
    return replace(slot, state=Blocked(since=now, run=run, deadline_at=deadline_at, until=until, process=process)), ()


def waited_too_long(slot: Slot, now: Now, context: Context) -> Step:
    """Answer the end of ``missed_within``, or of its due time's ``deadline``, for a run that found no room."""
    assert isinstance(slot.state, Blocked)
    rested = Waiting(now) if slot.state.process is None else Idle(now, slot.state.process)
    reason = f"max_running left it no room for {format_duration(now.mono - slot.state.since.mono)}"
    return unserved(replace(slot, state=rested), slot.state.run, Outcome.MISSED, reason, now, context)


def recorded(slot: Slot, now: Now) -> Step:
    """Answer that the row is on disk, or that nobody waits for it any longer."""
    state = slot.state
    assert isinstance(state, Recording)
    if state.run.due_at is not None or slot.job.schedule is None:
        slot = replace(slot, tally=slot.tally.with_start())
    if state.process is None:
        process = Process(run=state.run, job=slot.job, began=now, deadline_at=state.deadline_at)
        return replace(slot, state=Starting(now, process)), (Spawn(state.run, slot.job),)
    heartbeat = state.process.job.supervision.heartbeat
    process = replace(state.process, beat_by=now.mono + heartbeat) if heartbeat is not None else state.process
    ticking = Ticking(
        since=now,
        process=process,
        tick=state.run,
        ends_by=_ends_by(slot, now, state.deadline_at),
        deadline_at=state.deadline_at,
    )
    return replace(slot, state=ticking), (Tick(process.run.run_id, state.run),)


def spawned(slot: Slot, process: Process, pid: int, now: Now) -> Step:
    """Answer that the process exists; what has a ``ready`` is up only then, a scheduled Worker when it serves."""
    process = replace(process, pid=pid)
    if process.run.due_at is not None:
        ends_by = _ends_by(slot, now, process.deadline_at)
        return replace(slot, state=Running(since=now, process=process, ends_by=ends_by)), ()
    rules = process.job.supervision
    if rules.ready is None and process.job.schedule is None:
        return _up(slot, process, now)
    until = now.mono + rules.start_timeout if rules.ready is not None and rules.start_timeout is not None else None
    state = Starting(now, process, until=until)
    return replace(slot, state=state), (Probe(process.run, process.job),) if rules.ready is not None else ()


def come_up(slot: Slot, now: Now, *, is_ready: bool = False, is_serving: bool = False) -> Step:
    """Answer that a process is ready, or serves; it is up when it has done what its job asks of it."""
    state = slot.state
    assert isinstance(state, Starting)
    state = replace(state, is_ready=state.is_ready or is_ready, is_serving=state.is_serving or is_serving)
    job = state.process.job
    if (job.supervision.ready is not None and not state.is_ready) or (
        job.schedule is not None and not state.is_serving
    ):
        return replace(slot, state=state), ()
    return _up(slot, state.process, now)


def _up(slot: Slot, process: Process, now: Now) -> Step:
    """Return the slot with a process that has come up; from here on it is looked after."""
    rules = process.job.supervision
    process = replace(
        process,
        up_since=now.mono,
        well_at=now.mono + rules.limit.within if slot.streak else None,
        beat_by=now.mono + rules.heartbeat if rules.heartbeat is not None else None,
        old_at=now.mono + rules.max_age if rules.max_age is not None else None,
    )
    watch = (Watch(process.run, process.job),) if rules.health is not None else ()
    if process.job.schedule is not None:
        return replace(slot, state=Idle(now, process), problem=None), watch
    settles_at = now.mono + rules.settle if rules.ready is None else None
    problem = slot.problem if rules.ready is None else None
    return replace(slot, state=Running(since=now, process=process, settles_at=settles_at), problem=problem), watch


def _ends_by(slot: Slot, now: Now, deadline_at: Mono | None) -> Mono | None:
    timeout = slot.job.timing.timeout
    return earliest(deadline_at, now.mono + timeout if timeout is not None else None)


def after_backoff(slot: Slot, now: Now, context: Context) -> Step:
    """Answer the end of a back-off: the retry of a due time, or a restart."""
    state = slot.state
    assert isinstance(state, Backoff)
    if state.retry is not None:
        return launch(slot, state.retry, now, context, deadline_at=state.deadline_at)
    return begin(slot, Trigger.RESTART, now, context)


def allowed(slot: Slot, wait: timedelta, now: Now, context: Context) -> Step:
    """Answer that the group has charged a restart; it may yet have to wait for others of the group."""
    state = slot.state
    assert isinstance(state, Barred)
    tally = replace(slot.tally, restarts=slot.tally.restarts + 1)
    slot = replace(slot, streak=slot.streak + 1, tally=tally)
    if wait == ZERO:
        return begin(slot, Trigger.RESTART, now, context)
    return replace(slot, state=Backoff(since=now, until=now.mono + wait, last=state.last or "")), ()


def by_hand(slot: Slot, now: Now, context: Context) -> Step:
    """Answer a start by hand: at once, out of hold, give-up and back-off alike; no run of a scheduled job."""
    slot = replace(slot, wanted=Wanted.UP)
    match slot.state:
        case Stopped() | Failed() | Finished() | Backoff(retry=None) | Barred():
            return begin(slot, Trigger.MANUAL, now, context)
        case _:
            return slot, ()
