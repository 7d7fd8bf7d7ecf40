"""When a slot is due next, and what becomes of due times that went by. Values only; the board carries them along.

``every`` and ``delay`` follow the monotonic clock while the supervisor lives: each next instant is reckoned from the
one before, so a step of the wall clock moves only the name of a due time, never the instant. ``cron`` and ``at``
follow the wall clock.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from supervisor.core.chance import chance
from supervisor.core.events import Due
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.job import Job, Missed
from supervisor.core.runs import Saved, Trigger
from supervisor.core.schedule import (
    At,
    Cron,
    Delay,
    Every,
    Reboot,
    Schedule,
    fingerprint,
    interval_at,
    next_due,
    previous_due,
)
from supervisor.values import dataclass, replace

MOST_PASSED = 1000
"""Rows written for due times that went by in one gap; history keeps no more of a job by default."""

CORRECTION = timedelta(hours=3)
"""A wall clock set back further than this was wrong before (Debian cron's limit)."""

_INSTANT = timedelta(microseconds=1)


class Gap(StrEnum):
    """Why nobody could serve the due times of a while; the words stand in history."""

    DOWN = "the supervisor was down"
    ASLEEP = "the machine was asleep"
    STEP = "the clock was set forward"
    HELD_UP = "the supervisor was held up"


@dataclass(frozen=True, slots=True)
class Planned:
    """A coming due time and the monotonic instants that it and its start (jitter added) have."""

    due_at: datetime
    exact: Mono
    at: Mono


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """A slot's schedule, how far it has been served, what comes next and what waits to be made up."""

    schedule: Schedule
    anchor: datetime
    """When the job was first seen with this schedule."""
    cursor: datetime
    """The last due time that was dealt with, or the instant from which on there are due times."""
    next: Planned | None = None
    backlog: tuple[Planned, ...] = ()
    """Missed due times that will be made up, oldest first; with ``missed = "all"`` one after another."""
    queued: Due | None = None
    """A due time that waits for the active run's end (overlap = "queue" or "replace")."""

    @property
    def next_due_at(self) -> datetime | None:
        """The due time that comes next."""
        return self.next.due_at if self.next else None


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A timetable moved on: what passed unserved (and why), and what is due now."""

    table: Timetable
    passed: tuple[datetime, ...] = ()
    due: Due | None = None


def taken_on(job: Job, saved: Saved | None, now: Now, seed: str, boot: str) -> Unfolded | None:
    """Return the timetable of a job that a supervisor begins with; None where it has no due times."""
    if job.schedule is None or not job.enabled:
        return None
    if saved is not None and saved.cursor is not None and saved.fingerprint == schedule_id(job):
        return again(job, saved, now, seed, boot)
    unfolded = anew(job, now, seed, first_sight=saved is None)
    return replace(unfolded, passed=(*saved.waiting, *unfolded.passed)) if saved else unfolded


def anew(job: Job, now: Now, seed: str, *, first_sight: bool) -> Unfolded:
    """Return the timetable of a job that is seen for the first time or was edited: it has missed nothing."""
    assert job.schedule is not None
    schedule = replace(job.schedule, anchor=now.wall) if isinstance(job.schedule, Every) else job.schedule
    table = _plan(job, Timetable(schedule=schedule, anchor=now.wall, cursor=now.wall), now, seed)
    match schedule:
        case At(at=at) if at <= now.wall:
            return Unfolded(replace(table, next=None, cursor=at), passed=(at,) if first_sight else ())
        case Reboot():
            return Unfolded(table, due=Due(now.wall) if first_sight else None)
    if first_sight and job.timing.run_at_start:
        return Unfolded(table, due=Due(now.wall))
    return Unfolded(table)


def again(job: Job, saved: Saved, now: Now, seed: str, boot: str) -> Unfolded:
    """Return the timetable of a job that an earlier supervisor knew, with what passed in between."""
    assert job.schedule is not None
    assert saved.cursor is not None
    schedule = replace(job.schedule, anchor=saved.anchor) if isinstance(job.schedule, Every) else job.schedule
    table = Timetable(schedule=schedule, anchor=saved.anchor or saved.cursor, cursor=saved.cursor)
    match schedule:
        case Reboot() if saved.boot != boot:
            return Unfolded(table, passed=saved.waiting, due=Due(now.wall))
        case Delay(delay=delay):
            due_at = min(max(saved.ended_at or table.cursor, table.cursor), now.wall) + delay
            table = replace(table, next=_planned(job, schedule, due_at, now, seed))
        case Every() | Cron():
            table = _set_back(table, now)
    return gap(job, table, now, seed, waiting=saved.waiting)


def _set_back(table: Timetable, now: Now) -> Timetable:
    """Return a saved timetable in the time of a clock that was set back while nobody looked.

    A fixed time of ``cron`` does not come again, unless the clock was corrected; what comes at intervals does not pause
    for as long as the clock was set back.
    """
    ahead, schedule = table.cursor - now.wall, table.schedule
    is_correction = ahead > CORRECTION
    if isinstance(schedule, Cron) and not schedule.follows_clock and not is_correction:
        return table
    interval = interval_at(schedule, table.cursor)
    if not is_correction and (interval is None or ahead < interval):
        return table
    if isinstance(schedule, Every) and (is_correction or table.anchor > now.wall):
        return replace(table, schedule=replace(schedule, anchor=now.wall), anchor=now.wall, cursor=now.wall)
    return replace(table, cursor=now.wall)


def advance(job: Job, table: Timetable, now: Now, seed: str) -> Unfolded:
    """Return what is due at ``now`` in an awake supervisor: the latest due time is late at worst, never missed."""
    if table.next is None or table.next.at > now.mono:
        return Unfolded(table)
    pending = _pending(table, _label(table, now))
    if len(pending) > 1 and _planned(job, table.schedule, pending[-1], now, seed).at > now.mono:
        pending = pending[:-1]
    *older, latest = pending
    moved = _plan(job, replace(table, cursor=latest), now, seed)
    if job.timing.missed is Missed.ALL and older:
        passed, kept = _parted(job, table.schedule, older, now)
        backlog = (Planned(due_at, now.mono, now.mono) for due_at in (*kept, latest))
        return Unfolded(replace(moved, backlog=(*moved.backlog, *backlog)), passed)
    return Unfolded(moved, tuple(older), Due(latest))


def gap(job: Job, table: Timetable, now: Now, seed: str, *, waiting: Sequence[datetime] = ()) -> Unfolded:
    """Return what a while without a working supervisor leaves: the job's ``missed`` rule decides.

    ``waiting`` are due times before the cursor that had not been served when the while began.
    """
    found = _pending(table, _label(table, now))
    if not (waiting or found):
        return Unfolded(table if table.next else _plan(job, table, now, seed))
    if job.timing.missed is not Missed.ALL:
        waiting, table = (*waiting, *(each.due_at for each in table.backlog)), replace(table, backlog=())
    pending = [*waiting, *found]
    passed, made_up = _parted(job, table.schedule, pending, now)
    moved = replace(table, cursor=max(table.cursor, pending[-1]))
    if isinstance(table.schedule, Delay):
        due_at = now.wall + table.schedule.delay
        moved = replace(moved, next=None if made_up else _planned(job, table.schedule, due_at, now, seed))
    else:
        moved = _plan(job, moved, now, seed)
    backlog = (_caught_up(job, moved, due_at, now, seed) for due_at in made_up)
    return Unfolded(replace(moved, backlog=(*moved.backlog, *backlog)), passed)


def make_up(table: Timetable, now: Mono) -> tuple[Due, Timetable]:
    """Return the due time that has waited until now, and the timetable without it."""
    if table.backlog and table.backlog[0].at <= now:
        first, *others = table.backlog
        return Due(first.due_at, Trigger.CATCH_UP), replace(table, backlog=tuple(others))
    assert table.queued is not None
    return table.queued, replace(table, queued=None)


def stepped(job: Job, table: Timetable, by: timedelta, now: Now, seed: str) -> Unfolded:
    """Return the timetable after the wall clock was set ``by`` forward (or back, where negative)."""
    match table.schedule:
        case Every(anchor=datetime() as anchor, align_clock=False):
            schedule = replace(table.schedule, anchor=anchor + by)
            return Unfolded(_renamed(replace(table, schedule=schedule, anchor=anchor + by), by))
        case Every() | Delay():
            return Unfolded(_renamed(table, by))
        case Cron() if by < ZERO and (table.schedule.follows_clock or -by > CORRECTION):
            return Unfolded(_plan(job, replace(table, cursor=now.wall), now, seed))
        case _ if by < ZERO:
            return Unfolded(_plan(job, table, now, seed))
    return gap(job, replace(table, next=None), now, seed)


def after_run(job: Job, table: Timetable, now: Now, seed: str) -> Timetable:
    """Return the timetable at the end of a run: ``delay`` is counted from here."""
    if not isinstance(table.schedule, Delay):
        return table
    due_at = now.wall + table.schedule.delay
    return replace(table, cursor=now.wall, next=_planned(job, table.schedule, due_at, now, seed))


def is_over(table: Timetable) -> bool:
    """True where no due time will ever come again."""
    return isinstance(table.schedule, At) and table.next is None and table.queued is None and not table.backlog


def schedule_id(job: Job) -> str | None:
    """Return what tells an edited schedule from the same one."""
    return fingerprint(job.schedule) if job.schedule is not None else None


def _plan(job: Job, table: Timetable, now: Now, seed: str) -> Timetable:
    match table.schedule:
        case Delay():
            due_at: datetime | None = None if table.next else table.cursor + table.schedule.delay
        case Reboot():
            due_at = None
        case _:
            due_at = next_due(table.schedule, table.cursor)
    if due_at is None:
        return replace(table, next=None)
    if table.next and isinstance(table.schedule, Every):
        exact = table.next.exact + (due_at - table.next.due_at)
        return replace(table, next=_with_jitter(job, table.schedule, due_at, exact, seed))
    return replace(table, next=_planned(job, table.schedule, due_at, now, seed))


def _planned(job: Job, schedule: Schedule, due_at: datetime, now: Now, seed: str) -> Planned:
    return _with_jitter(job, schedule, due_at, now.mono + (due_at - now.wall), seed)


def _with_jitter(job: Job, schedule: Schedule, due_at: datetime, exact: Mono, seed: str) -> Planned:
    if not job.timing.jitter:
        return Planned(due_at, exact, exact)
    late, room = _jitter(job, due_at, seed), interval_at(schedule, due_at)
    return Planned(due_at, exact, exact + (late if room is None else min(late, room)))


def _jitter(job: Job, due_at: datetime, seed: str) -> timedelta:
    """Return how much later the run of a due time starts: the same whenever it is asked."""
    return job.timing.jitter * chance(seed, job.name, due_at.isoformat())


def _caught_up(job: Job, table: Timetable, due_at: datetime, now: Now, seed: str) -> Planned:
    """Return when a missed due time is made up: jitter from now, but not past the next due time."""
    at = now.mono + _jitter(job, due_at, seed)
    latest = at if table.next is None else max(now.mono, table.next.exact)
    return Planned(due_at, now.mono, min(at, latest))


def _renamed(table: Timetable, by: timedelta) -> Timetable:
    coming = replace(table.next, due_at=table.next.due_at + by) if table.next else None
    return replace(table, cursor=table.cursor + by, next=coming)


def _label(table: Timetable, now: Now) -> datetime:
    """Return the due time that now stands for: by the monotonic clock for intervals, else by the wall clock."""
    if table.next is None:
        return now.wall
    if isinstance(table.schedule, Every | Delay):
        return table.next.due_at + (now.mono - table.next.exact)
    return max(now.wall, table.next.due_at) if table.next.at <= now.mono else now.wall


def _pending(table: Timetable, upto: datetime) -> list[datetime]:
    """Return the newest due times in (cursor, upto], oldest first."""
    match table.schedule:
        case Delay():
            return [table.next.due_at] if table.next and table.next.due_at <= upto else []
        case Reboot():
            return []
    return list(islice(_backwards(table, upto), MOST_PASSED))[::-1]


def _backwards(table: Timetable, upto: datetime) -> Iterator[datetime]:
    at = previous_due(table.schedule, upto + _INSTANT)
    while at is not None and at > table.cursor:
        yield at
        at = previous_due(table.schedule, at)


def _parted(
    job: Job, schedule: Schedule, pending: Sequence[datetime], now: Now
) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
    """Return which of some missed due times passed for good, and which the job's ``missed`` rule makes up."""
    match job.timing.missed:
        case Missed.SKIP:
            most = 0
        case Missed.ONCE:
            most = 1
        case _:
            most = job.timing.missed_limit
    candidates = pending[max(0, len(pending) - most) :]
    made_up = tuple(at for at in candidates if _is_in_time(job, schedule, at, now))
    chosen = set(made_up)
    return tuple(at for at in pending if at not in chosen), made_up


def _is_in_time(job: Job, schedule: Schedule, due_at: datetime, now: Now) -> bool:
    within = made_up_within(job, schedule, due_at)
    return within is None or now.wall - due_at <= within


def made_up_within(job: Job, schedule: Schedule, due_at: datetime) -> timedelta | None:
    """Return how old a missed due time may be to be made up; None is any age."""
    if job.timing.missed_within is not None or job.timing.missed is Missed.ALL:
        return job.timing.missed_within
    interval = interval_at(schedule, due_at)
    return None if interval is None or interval >= timedelta(hours=1) else interval
