"""Whether a slot is late: due and not started, running for too long past it, or without a good run for too long."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from supervisor.core.durations import format_duration
from supervisor.core.instants import Mono, Now
from supervisor.core.runs import Attempt
from supervisor.core.slot import Slot
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Recording,
    Running,
    Starting,
    Stopped,
    Stopping,
    Ticking,
    earliest,
)


def lateness(slot: Slot, now: Now) -> str | None:
    """Return why a slot is late, None while it is not."""
    if isinstance(slot.state, Barred):
        late_since = late_at(slot, now)
        return "blocked for too long" if late_since is not None and late_since < now.mono else None
    if not _is_watched(slot):
        return None
    limit = slot.job.timing.late_after
    hand = min(_in_hand(slot, now), key=_since, default=None)
    if limit is not None and hand is not None and now.mono - hand.since > limit:
        return f"due {hand.due_at:%Y-%m-%dT%H:%M:%SZ}, {'running' if hand.has_started else 'not started'}"
    limit, waits = slot.job.timing.expect_success_within, now.mono - _good_since(slot, now)
    if limit is not None and waits > limit:
        return f"no good run for {format_duration(timedelta(seconds=int(waits.total_seconds())))}"
    return None


def late_at(slot: Slot, now: Now) -> Mono | None:
    """Return the monotonic instant after which a slot is late if nothing changes; None is never."""
    timing, start_timeout = slot.job.timing, slot.job.supervision.start_timeout
    if isinstance(slot.state, Barred):
        return None if start_timeout is None else slot.state.since.mono + start_timeout
    if not _is_watched(slot):
        return None
    hand = min(_in_hand(slot, now), key=_since, default=None)
    late = hand.since + timing.late_after if hand is not None and timing.late_after is not None else None
    limit = timing.expect_success_within
    return earliest(late, _good_since(slot, now) + limit if limit is not None else None)


class _InHand(NamedTuple):
    """A due time that is not done yet, and since when it has been due (or will be) on the monotonic clock."""

    due_at: datetime
    since: Mono
    has_started: bool = False


def _since(hand: _InHand) -> Mono:
    return hand.since


def _is_watched(slot: Slot) -> bool:
    is_out = slot.paused or isinstance(slot.state, Stopped | Failed | Finished | Disabled)
    return slot.job.schedule is not None and slot.table is not None and not is_out


def _in_hand(slot: Slot, now: Now) -> Iterator[_InHand]:
    """Yield the due times that a slot has in hand, and the next one.

    How long a run has gone on is told by the monotonic clock: a step of the other one makes nothing late.
    """
    match slot.state:
        case Ticking(tick=run, since=began) | Stopping(tick=Ticking(tick=run, since=began)):
            yield from _run(run, began, has_started=True)
        case Recording(run=run, since=began) | Blocked(run=run, since=began):
            yield from _run(run, began, has_started=False)
        case Starting(process=process) | Running(process=process) | Stopping(process=process):
            yield from _run(process.run, process.began, has_started=True)
        case Backoff(failed=Attempt() as run, since=began):
            yield from _run(run, began, has_started=True)
    for due_at in slot.waiting:
        yield _InHand(due_at, now.mono - (now.wall - due_at))
    for due_at in slot.beside:
        if due_at not in slot.aside:
            yield _InHand(due_at, now.mono - (now.wall - due_at), has_started=True)
    if slot.table is not None and slot.table.next is not None:
        yield _InHand(slot.table.next.due_at, slot.table.next.exact)


def _run(run: Attempt, began: Now, *, has_started: bool) -> Iterator[_InHand]:
    if run.due_at is not None:
        yield _InHand(run.due_at, began.mono - (began.wall - run.due_at), has_started)


def _good_since(slot: Slot, now: Now) -> Mono:
    assert slot.table is not None
    return now.mono - (now.wall - (slot.tally.succeeded_at or slot.table.anchor))
