"""Due times of any schedule: the next, the one before, all between two instants."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from supervisor.core.instants import ZERO
from supervisor.core.schedule import calendar
from supervisor.core.schedule.values import At, Cron, Delay, Every, Reboot, Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_due(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first due time strictly after an instant, in UTC; None where none will come.

    For a ``delay``, ``after`` is the end of the last run.

    Raises:
        ValueError: an ``every`` without an anchor has no grid.
    """
    after = after.astimezone(UTC)
    match schedule:
        case Every(interval=interval):
            start = _grid(schedule)
            steps = (after - start) // interval + 1
            return _shifted(start, interval * (max(steps, _first(schedule)) if not schedule.align_clock else steps))
        case Delay(delay=delay):
            return _shifted(after, delay)
        case Cron():
            return calendar.next_due(schedule, after)
        case At(at=at):
            return at if at > after else None
        case Reboot():
            return None


def previous_due(schedule: Schedule, before: datetime) -> datetime | None:
    """Return the last due time strictly before an instant, in UTC; None where there is none.

    A ``delay`` has no grid, so nothing stands before it.

    Raises:
        ValueError: an ``every`` without an anchor has no grid.
    """
    before = before.astimezone(UTC)
    match schedule:
        case Every(interval=interval):
            start = _grid(schedule)
            steps = -((start - before) // interval) - 1
            if steps < _first(schedule) and not schedule.align_clock:
                return None
            return _shifted(start, interval * steps)
        case Cron():
            return calendar.previous_due(schedule, before)
        case At(at=at):
            return at if at < before else None
        case Delay() | Reboot():
            return None


def due_between(schedule: Schedule, a: datetime, b: datetime) -> Iterator[datetime]:
    """Yield the due times in (a, b], rising."""
    at = None if isinstance(schedule, Delay) else next_due(schedule, a)
    while at is not None and at <= b:
        yield at
        at = next_due(schedule, at)


def interval_at(schedule: Schedule, due_at: datetime) -> timedelta | None:
    """Return the distance from a due time to the next one; None where none follows."""
    match schedule:
        case Every(interval=interval):
            return interval
        case Delay(delay=delay):
            return delay
    following = next_due(schedule, due_at)
    return None if following is None else following - due_at


def fingerprint(schedule: Schedule) -> str:
    """Return a text that changes exactly when an edit re-anchors: all of a schedule but its anchor."""
    match schedule:
        case Every(interval=interval, offset=offset, align_clock=align_clock):
            return f"every {interval // _MICROSECOND} {offset // _MICROSECOND} {'clock' if align_clock else 'seen'}"
        case Delay(delay=delay):
            return f"delay {delay // _MICROSECOND}"
        case Cron(expression=expression, zone=zone):
            return f"cron {' '.join(expression.split())} {zone_name(zone)}"
        case At(at=at):
            return f"at {at.isoformat()}"
        case Reboot():
            return "cron @reboot"


def zone_name(zone: tzinfo) -> str:
    """Return the name by which a zone is known."""
    return str(getattr(zone, "key", None) or zone)


_MICROSECOND = timedelta(microseconds=1)


def _grid(schedule: Every) -> datetime:
    if schedule.align_clock:
        return _EPOCH + schedule.offset
    if schedule.anchor is None:
        raise ValueError("unanchored: this schedule has no grid until its job is seen")
    return schedule.anchor.astimezone(UTC) + schedule.offset


def _first(schedule: Every) -> int:
    """Return the first step of an anchored grid: nothing is due at the anchor itself."""
    return 1 if schedule.offset == ZERO else 0


def _shifted(at: datetime, by: timedelta) -> datetime | None:
    try:
        return at + by
    except OverflowError:
        return None
