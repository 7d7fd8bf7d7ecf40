"""From running to rest: stops that somebody asks for, ends that somebody sees, and what follows from either."""

from datetime import timedelta

from supervisor.core.actions import Escalate, Fall, Keep, Kill, Stop
from supervisor.core.chance import chance
from supervisor.core.durations import format_duration
from supervisor.core.ends import ASKED, End, judged, phrase
from supervisor.core.events import Cause, Exited, SpawnFailed, TickEnded
from supervisor.core.exits import (
    Lost,
    Usage,
    describe,
)
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.job import OnGiveUp, Restart
from supervisor.core.policy import Again, Ask, GiveUp, Leave, Rest, decide, delay
from supervisor.core.rows import drop_made_up, finalized, unserved
from supervisor.core.runs import Attempt, Closed, Outcome, Trigger
from supervisor.core.slot import Context, Slot, Step, Tally
from supervisor.core.starting import begin
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    New,
    Process,
    Recording,
    State,
    Stopped,
    Stopping,
    Ticking,
    Waiting,
    Wanted,
    process_of,
)
from supervisor.core.timetable import after_run, is_over
from supervisor.values import replace

_STUCK = frozenset({Cause.TIMEOUT, Cause.DEADLINE, Cause.START_TIMEOUT, Cause.HUNG, Cause.UNHEALTHY})
"""The causes of stops before which one wants to know what the process is at."""


def stop(slot: Slot, cause: Cause, now: Now, context: Context) -> Step:
    """Bring a slot to its end from wherever it is; what is wanted of it afterwards is set already."""
    slot, orders = (slot, ()) if slot.wanted is Wanted.UP else drop_made_up(slot, cause.value, now, context)
    state = slot.state
    match state:
        case New() | Disabled() | Stopping() | Stopped():
            return slot, orders
        case Failed() if cause in {Cause.GROUP, Cause.SHUTDOWN}:
            return slot, orders
        case Barred(since=since, trigger=trigger) if cause is Cause.GROUP:
            return replace(slot, state=Barred(since=since, trigger=trigger)), orders
        case Finished() if cause is Cause.GROUP and (slot.is_periodic or _is_temporary(slot)):
            return slot, orders
        case Waiting() | Failed() | Finished() | Barred():
            return replace(slot, state=_rest(slot, cause, now)), orders
        case Backoff(failed=failed):
            dropped = (finalized(failed),) if failed is not None else ()
            return replace(slot, state=_rest(slot, cause, now)), (*orders, *dropped)
        case Blocked(run=run):
            slot, kept = unserved(slot, run, Outcome.MISSED, cause.value, now, context)
            orders += kept
        case Recording(run=run):
            row = _closed(run, now, now, Outcome.STOPPED, reason=cause.value)
            slot = replace(slot, tally=slot.tally.with_end(row))
            orders += (Keep(row),)
    process = process_of(state)
    if process is None:
        return replace(slot, state=_rest(slot, cause, now)), orders
    tick = state if isinstance(state, Ticking) else None
    stopping, order = _stopping(process, tick, cause, now)
    return replace(slot, state=stopping), (*orders, order)


def pause(slot: Slot, now: Now, context: Context) -> Step:
    """Start no new run of a due time by itself, also none that waits already; a running one goes on, a retry too."""
    slot, orders = drop_made_up(replace(slot, paused=slot.job.schedule is not None), "paused", now, context)
    match slot.state:
        case Blocked(run=run, process=process) if slot.paused and run.trigger is not Trigger.MANUAL:
            rested = Waiting(now) if process is None else Idle(now, process)
            slot, kept = unserved(replace(slot, state=rested), run, Outcome.MISSED, "paused", now, context)
            return slot, (*orders, *kept)
    return slot, orders


def _is_temporary(slot: Slot) -> bool:
    return slot.job.supervision.restart is Restart.NEVER


def _rest(slot: Slot, cause: Cause, now: Now) -> State:
    """Return where a slot without a process comes to rest when it is stopped."""
    if slot.wanted is not Wanted.UP:
        return Stopped(now)
    return Barred(since=now, trigger=Trigger.RESTART) if cause is Cause.GROUP else Waiting(now)


def _stopping(process: Process, tick: Ticking | None, cause: Cause, now: Now) -> tuple[Stopping, Stop | Kill]:
    rules = process.job.supervision
    run_id = process.run.run_id
    if rules.stop_timeout == ZERO:
        return Stopping(since=now, process=process, cause=cause, kill_at=None, tick=tick), Kill(run_id)
    kill_at = None if rules.stop_timeout is None else now.mono + rules.stop_timeout
    stopping = Stopping(since=now, process=process, cause=cause, kill_at=kill_at, tick=tick)
    return stopping, Stop(run_id, rules.stop_signal, cause)


def out_of_time(slot: Slot, now: Now) -> Step:
    """Stop a run or tick that has used up its ``timeout``, or its due time's ``deadline``."""
    process = process_of(slot.state)
    assert process is not None
    deadline_at = slot.state.deadline_at if isinstance(slot.state, Ticking) else process.deadline_at
    is_deadline = deadline_at is not None and deadline_at <= now.mono
    return cut_short(slot, Cause.DEADLINE if is_deadline else Cause.TIMEOUT, now)


def cut_short(slot: Slot, cause: Cause, now: Now) -> Step:
    """Stop a process that breaks a rule of its job."""
    process = process_of(slot.state)
    assert process is not None
    tick = slot.state if isinstance(slot.state, Ticking) else None
    stopping, order = _stopping(process, tick, cause, now)
    return replace(slot, state=stopping), (replace(order, dump=cause in _STUCK),)


def ticked(slot: Slot, event: TickEnded, now: Now, context: Context) -> Step:
    """Answer a ``tick()`` that returned."""
    state = slot.state
    tick = state.tick if isinstance(state, Stopping) else state
    assert isinstance(tick, Ticking)
    row = _closed(tick.tick, tick.since, now, Outcome.OK, usage=Usage(cpu=event.cpu), duration=event.duration)
    rested: Stopping | Idle = replace(state, tick=None) if isinstance(state, Stopping) else Idle(now, tick.process)
    return _served(replace(slot, state=rested, tally=slot.tally.with_end(row)), now, context), (Keep(row),)


def ended(slot: Slot, process: Process, event: Exited | SpawnFailed, now: Now, context: Context) -> Step:
    """Answer the end of a slot's process: close its rows, then let what is wanted decide."""
    state = slot.state
    cause = state.cause if isinstance(state, Stopping) else None
    end = judged(process, event, cause, now)
    tick = state.tick if isinstance(state, Stopping) else state
    if process.run.due_at is not None:
        return _after_due_run(slot, end, context)
    slot, orders = _close_waiting_tick(slot, now, context)
    own = end.row(process.run, process.began)
    if isinstance(tick, Ticking):
        row = end.row(tick.tick, tick.since)
        slot = _served(replace(slot, tally=slot.tally.with_end(row)), now, context)
        orders = (*orders, Keep(row))
    elif slot.job.schedule is None or end.outcome.is_failure:
        slot = replace(slot, tally=_tally(slot, process, now).with_end(own))
    slot, more = _after_process(slot, end, context)
    return slot, (*orders, Keep(own), *more)


def _tally(slot: Slot, process: Process, now: Now) -> Tally:
    """Return the tally before an end; what has run well fails for the first time in a row."""
    ran_well = slot.job.schedule is None and _ran_for(slot, process, now) >= slot.job.supervision.limit.within
    return replace(slot.tally, failed_in_a_row=0) if ran_well else slot.tally


def _close_waiting_tick(slot: Slot, now: Now, context: Context) -> Step:
    """Close the row of a tick that had not begun when its Worker's process ended."""
    match slot.state:
        case Blocked(run=run):
            return unserved(slot, run, Outcome.SKIPPED, "its process ended", now, context)
        case Recording(run=run, since=since) if run.due_at is not None:
            row = _closed(run, since, now, Outcome.SKIPPED, reason="its process ended")
            return _served(replace(slot, tally=slot.tally.with_end(row)), now, context), (Keep(row),)
    return slot, ()


def _after_due_run(slot: Slot, end: End, context: Context) -> Step:
    """Answer the end of a due time's own process: retry, or rest until the next."""
    retry = _retry(slot, end, context)
    row = end.row(end.process.run, end.process.began, final=retry is None)
    slot = replace(slot, tally=slot.tally.with_end(row))
    if retry is not None:
        return replace(slot, state=retry), (Keep(row),)
    slot = _served(slot, end.now, context)
    is_last = slot.wanted is Wanted.UP and slot.table is not None and is_over(slot.table)
    if is_last and end.outcome.is_failure:
        return replace(slot, state=Failed(end.now, phrase(row, end.exit))), (Keep(row),)
    if slot.is_lane:
        return replace(slot, state=Waiting(end.now)), (Keep(row),)
    slot, orders = begin(slot, Trigger.START, end.now, context, is_gated=end.cause is Cause.GROUP)
    return slot, (Keep(row), *orders)


def _retry(slot: Slot, end: End, context: Context) -> Backoff | None:
    if not end.outcome.is_failure or end.cause is Cause.DEADLINE:
        return None
    if slot.wanted is not Wanted.UP or not slot.job.enabled or slot.job.schedule is None:
        return None
    row = end.row(end.process.run, end.process.began)
    return retry_after(
        replace(slot, job=end.process.job),
        end.process.run,
        end.now,
        context,
        last=phrase(row, end.exit),
        deadline_at=end.process.deadline_at,
    )


def retry_after(
    slot: Slot,
    run: Attempt,
    now: Now,
    context: Context,
    *,
    last: str = "lost",
    deadline_at: Mono | None = None,
) -> Backoff | None:
    """Return the wait for the next attempt of a due time, or None where ``retries`` or ``deadline`` allow none."""
    if run.attempt > slot.job.timing.retries:
        return None
    luck = chance(context.seed, "retry", slot.id, run.due_at, run.attempt)
    until = now.mono + delay(slot.job.supervision.backoff, run.attempt, luck)
    if deadline_at is not None and until >= deadline_at:
        return None
    again = replace(run, run_id=next(context.ids), attempt=run.attempt + 1, trigger=Trigger.RETRY)
    return Backoff(since=now, until=until, last=last, retry=again, failed=run, deadline_at=deadline_at)


def _served(slot: Slot, now: Now, context: Context) -> Slot:
    """Return the slot after the final end of a due time's run: ``delay`` counts on, failures may pause it."""
    table = after_run(slot.job, slot.table, now, context.seed) if slot.table is not None else None
    return with_pause(replace(slot, table=table))


def with_pause(slot: Slot) -> Slot:
    """Return the slot, paused where so many due times in a row have failed as ``pause_after_failures`` says."""
    return replace(slot, paused=True) if slot.has_had_enough else slot


def _after_process(slot: Slot, end: End, context: Context) -> Step:
    """Answer the end of a long-lived job's or a Worker's process by its restart policy."""
    now = end.now
    if slot.wanted is not Wanted.UP or not slot.job.enabled or end.cause in ASKED:
        if slot.wanted is Wanted.UP and end.cause is Cause.GROUP and _is_temporary(slot):
            return replace(slot, state=Finished(now)), ()
        return begin(slot, Trigger.RESTART if end.cause is Cause.GROUP else Trigger.MANUAL, now, context)
    if isinstance(end.exit, Lost):
        return begin(slot, Trigger.RESTART, now, context)
    rules = slot.job.supervision
    ran_well = _ran_for(slot, end.process, now) >= rules.limit.within
    streak = 0 if ran_well else slot.streak
    verdict = decide(
        rules,
        clean=end.outcome is Outcome.OK,
        window=slot.window,
        streak=streak,
        now=now,
        luck=chance(context.seed, "restart", slot.id, end.process.run.run_id),
        is_grouped=slot.job.group is not None,
    )
    last = slot.tally.last
    how = phrase(last, end.exit) if last is not None else describe(end.exit)
    match verdict:
        case Rest():
            return replace(slot, state=Finished(now), streak=0), ()
        case Leave():
            return replace(slot, state=Failed(now, how)), ()
        case GiveUp(restarts=restarts, within=within):
            reason = f"gave up after {restarts} restarts in {format_duration(within)}: {how}"
            escalates = rules.on_give_up is OnGiveUp.ESCALATE
            orders = (Escalate(slot.id),) if escalates else ()
            return replace(slot, state=Failed(now, reason, gave_up=not escalates), streak=streak), orders
        case Ask():
            return replace(slot, state=Barred(since=now, trigger=Trigger.RESTART, last=how), streak=streak), (
                Fall(slot.id),
            )
        case Again(delay=wait, window=window, streak=streak):
            tally = replace(slot.tally, restarts=slot.tally.restarts + 1)
            slot = replace(slot, window=window, streak=streak, tally=tally)
            if wait == ZERO:
                return begin(slot, Trigger.RESTART, now, context)
            return replace(slot, state=Backoff(since=now, until=now.mono + wait, last=how)), ()


def _ran_for(slot: Slot, process: Process, now: Now) -> timedelta:
    """Return how long the process was up; one that never came up was not."""
    return now.mono - process.up_since if process.up_since is not None and slot.problem is None else ZERO


def _closed(
    run: Attempt,
    since: Now,
    now: Now,
    outcome: Outcome,
    *,
    usage: Usage | None = None,
    duration: timedelta | None = None,
    reason: str | None = None,
) -> Closed:
    return Closed(
        run=run,
        started_at=since.wall,
        ended_at=now.wall,
        duration=now.mono - since.mono if duration is None else duration,
        outcome=outcome,
        exit_code=0 if outcome is Outcome.OK else None,
        usage=usage,
        reason=reason,
    )
