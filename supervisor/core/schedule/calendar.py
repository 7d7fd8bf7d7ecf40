"""When a cron expression is due, by Debian's rule for daylight saving, collapsed to one run a due time.

A job with fixed minute and hour runs once on each of its days: a time that the clocks jump over is due at the end of
the gap, one that comes twice on its first pass. Where the minute or hour field starts with a star the job follows the
real clock: both passes of a repeated hour, nothing made up.

The method: walk local dates. On most the UTC offset is one, and a due time is found by bisection. On the others map
each local time to an instant and drop what is doubled; for starred expressions take each local time that an offset
really shows.
"""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import product

from supervisor.core.instants import ZERO
from supervisor.core.schedule.values import Cron

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_FARTHEST = 40 * 366
"""Days in which a date that comes at all has come: 29 February on a given weekday can take 40 years, over 2100."""


def next_due(cron: Cron, after: datetime) -> datetime | None:
    """Return the first due time strictly after an instant, in UTC; None where the calendar ends before it."""
    first = _local_date(cron, after)
    found: datetime | None = None
    for day in _days(cron, first - _DAY if first > date.min + _DAY else first, 1):
        at = _first_after(cron, day, after)
        if found is not None:
            return min(found, at or found)
        if at is not None and len(_offsets(cron.zone, day)) == 1:
            return at
        found = at  # where clocks go back over midnight, the next date begins before this one is over
    return found


def previous_due(cron: Cron, before: datetime) -> datetime | None:
    """Return the last due time strictly before an instant, in UTC; None where there is none."""
    last = _local_date(cron, before)
    found: datetime | None = None
    for day in _days(cron, last + _DAY if last < date.max - _DAY else last, -1):
        at = _last_before(cron, day, before)
        if found is not None:
            return max(found, at or found)
        if at is not None and len(_offsets(cron.zone, day)) == 1:
            return at
        found = at
    return found


def _local_date(cron: Cron, at: datetime) -> date:
    try:
        return at.astimezone(cron.zone).date()
    except OverflowError:
        return at.date()


def _days(cron: Cron, first: date, direction: int) -> Iterator[date]:
    """Yield the dates that match, from one on, in a direction; whole months that do not match are jumped over."""
    day = first
    for _ in range(_FARTHEST):
        if day.month not in cron.months:
            jumped = _other_month(day, direction)
            if jumped is None:
                return
            day = jumped
            continue
        if _matches(cron, day):
            yield day
        if day in {date.min, date.max}:
            return
        day += direction * _DAY


def _other_month(day: date, direction: int) -> date | None:
    """Return the first day of the next month, or the last day of the one before."""
    try:
        if direction > 0:
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return day.replace(day=1) - _DAY
    except OverflowError:
        return None


def _matches(cron: Cron, day: date) -> bool:
    in_month = day.day in cron.days or (0 in cron.days and _is_last(day))
    weekday = day.isoweekday() % 7
    nth = (weekday, (day.day - 1) // 7 + 1)
    in_week = (
        weekday in cron.weekdays
        or nth in cron.nth_weekdays
        or ((weekday, 0) in cron.nth_weekdays and day.day + 7 > monthrange(day.year, day.month)[1])
    )
    return (in_month or in_week) if cron.either_day else (in_month and in_week)


def _is_last(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]


@lru_cache(maxsize=64)
def _instants(cron: Cron, day: date) -> tuple[datetime, ...]:
    """Return the due times of a local date on which the UTC offset changes, as rising UTC instants."""
    found = _following(cron, day) if cron.follows_clock else _fixed(cron, day)
    return tuple(sorted(set(found)))


@lru_cache(maxsize=1024)
def _offsets(zone: tzinfo, day: date) -> tuple[timedelta, ...]:
    """Return the UTC offsets that a zone shows around a local date, usually one."""
    midnight = datetime.combine(day, time(), UTC)
    seen: dict[timedelta, None] = {}
    for hour in range(-15, 40, 6):
        try:
            offset = (midnight + timedelta(hours=hour)).astimezone(zone).utcoffset()
        except OverflowError:
            continue
        seen[offset or ZERO] = None
    return tuple(seen)


def _first_after(cron: Cron, day: date, after: datetime) -> datetime | None:
    """Return the first due time of a local date that is later than an instant."""
    offsets = _offsets(cron.zone, day)
    if len(offsets) > 1:
        times = _instants(cron, day)
        at = bisect_right(times, after)
        return times[at] if at < len(times) else None
    midnight = datetime.combine(day, time(), UTC)
    passed = after + offsets[0] - midnight
    if passed < ZERO:
        return _at(midnight, cron.hours[0], cron.minutes[0], offsets[0])
    hour, minute = divmod(passed // _MINUTE, 60)
    place = bisect_left(cron.hours, hour)
    if place < len(cron.hours) and cron.hours[place] == hour:
        within = bisect_right(cron.minutes, minute)
        if within < len(cron.minutes):
            return _at(midnight, hour, cron.minutes[within], offsets[0])
        place += 1
    return _at(midnight, cron.hours[place], cron.minutes[0], offsets[0]) if place < len(cron.hours) else None


def _last_before(cron: Cron, day: date, before: datetime) -> datetime | None:
    """Return the last due time of a local date that is earlier than an instant."""
    offsets = _offsets(cron.zone, day)
    if len(offsets) > 1:
        times = _instants(cron, day)
        at = bisect_left(times, before)
        return times[at - 1] if at else None
    midnight = datetime.combine(day, time(), UTC)
    passed = before + offsets[0] - midnight
    if passed <= ZERO:
        return None
    hour, minute = divmod(-(-passed // _MINUTE), 60)
    place = bisect_left(cron.hours, hour)
    if place < len(cron.hours) and cron.hours[place] == hour:
        within = bisect_left(cron.minutes, minute)
        if within:
            return _at(midnight, hour, cron.minutes[within - 1], offsets[0])
    return _at(midnight, cron.hours[place - 1], cron.minutes[-1], offsets[0]) if place else None


def _at(midnight: datetime, hour: int, minute: int, offset: timedelta) -> datetime | None:
    try:
        return midnight + timedelta(hours=hour, minutes=minute) - offset
    except OverflowError:
        return None


def _following(cron: Cron, day: date) -> Iterator[datetime]:
    """Yield the instants at which the clock on the wall really shows a matching time of the date."""
    midnight = datetime.combine(day, time(), UTC)
    for offset, hour, minute in product(_offsets(cron.zone, day), cron.hours, cron.minutes):
        at = _at(midnight, hour, minute, offset)
        if at is not None and at.astimezone(cron.zone).utcoffset() == offset:
            yield at


def _fixed(cron: Cron, day: date) -> Iterator[datetime]:
    for hour, minute in product(cron.hours, cron.minutes):
        local = datetime.combine(day, time(hour, minute), cron.zone)
        at = local.astimezone(UTC)
        if at.astimezone(cron.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            yield at
        elif not _is_skipped(cron, day):
            yield _end_of_gap(cron, local)


def _is_skipped(cron: Cron, day: date) -> bool:
    """Tell whether a date does not exist in its zone (Apia, 30 December 2011)."""
    noon = datetime.combine(day, time(12), cron.zone)
    return noon.astimezone(UTC).astimezone(cron.zone).date() != day


def _end_of_gap(cron: Cron, local: datetime) -> datetime:
    """Return the first instant after the gap that a local time falls into: where the offset changes."""
    before = local.replace(fold=0).utcoffset() or ZERO
    after = local.replace(fold=1).utcoffset() or ZERO
    naive = local.replace(tzinfo=UTC)
    low, high = naive - max(before, after), naive - min(before, after)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle in {low, high}:
            break
        if middle.astimezone(cron.zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
