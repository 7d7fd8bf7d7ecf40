"""Due times of any schedule: the next, the one before, all between two instants."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from supervisor.core.schedule import daylight
from supervisor.core.schedule.fields import canonical
from supervisor.core.schedule.values import At, Cron, Delay, Every, Reboot, Schedule
from supervisor.core.schedule.zones import zone_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def next_due(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first due time strictly after an instant, in UTC; None where none will come up to the year 9999.

    For a ``delay``, ``after`` is the end of the last run. ``@reboot`` has no due times.

    Raises:
        ValueError: an ``every`` without an anchor has no grid, a naive ``after`` no place in time.
    """
    after = _utc(after)
    match schedule:
        case Every(interval=interval, offset=offset):
            steps = (after - _anchor(schedule) - offset) // interval + 1
            return _on_grid(schedule, steps if schedule.align_clock else max(steps, 1))
        case Delay(delay=delay):
            return _shifted(after, delay)
        case Cron():
            return daylight.next_due(schedule, after)
        case At(at=at):
            return _utc(at) if _utc(at) > after else None
        case Reboot():
            return None


def previous_due(schedule: Schedule, before: datetime) -> datetime | None:
    """Return the last due time strictly before an instant, in UTC; None where there is none since the year 1.

    A ``delay`` has no grid, so nothing stands before it.

    Raises:
        ValueError: an ``every`` without an anchor has no grid, a naive ``before`` no place in time.
    """
    before = _utc(before)
    match schedule:
        case Every(interval=interval, offset=offset):
            steps = (before - _anchor(schedule) - offset - _MICROSECOND) // interval
            return _on_grid(schedule, steps) if schedule.align_clock or steps >= 1 else None
        case Cron():
            return daylight.previous_due(schedule, before)
        case At(at=at):
            return _utc(at) if _utc(at) < before else None
        case Delay() | Reboot():
            return None


def due_between(schedule: Schedule, a: datetime, b: datetime) -> Iterator[datetime]:
    """Yield the due times in (a, b], rising, each reckoned when it is asked for.

    A ``delay`` yields nothing: its due times depend on when runs end.

    Raises:
        ValueError: as ``next_due``.
    """
    b = _utc(b)
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
    return None if following is None else following - _utc(due_at)


def fingerprint(schedule: Schedule) -> str:
    """Return a text that changes exactly when an edit re-anchors: all that a schedule means, but its anchor."""
    match schedule:
        case Every(interval=interval, offset=offset, align_clock=align_clock):
            return f"every {interval // _MICROSECOND} {offset // _MICROSECOND} {'clock' if align_clock else 'seen'}"
        case Delay(delay=delay):
            return f"delay {delay // _MICROSECOND}"
        case Cron(expression=expression, zone=zone):
            return f"cron {canonical(expression)} {zone_name(zone)}"
        case At(at=at):
            return f"at {_utc(at).isoformat()}"
        case Reboot():
            return "cron @reboot"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"naive: {at} has no offset from UTC")
    try:
        return at.astimezone(UTC)
    except OverflowError:  # within a day of where Python's calendar ends
        return datetime.min.replace(tzinfo=UTC) if at.year == 1 else datetime.max.replace(tzinfo=UTC)


def _anchor(schedule: Every) -> datetime:
    if schedule.align_clock:
        return _EPOCH
    if schedule.anchor is None:
        raise ValueError("unanchored: this schedule has no grid until its job is seen")
    return _utc(schedule.anchor)


def _on_grid(schedule: Every, steps: int) -> datetime | None:
    try:
        return _anchor(schedule) + (schedule.offset + steps * schedule.interval)
    except OverflowError:
        return None


def _shifted(at: datetime, by: timedelta) -> datetime | None:
    try:
        return at + by
    except OverflowError:
        return None
