"""Times on the wall, without a zone, that the fields of a cron expression match."""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from supervisor.core.schedule.values import Cron

EARLIEST = datetime(1, 1, 1)  # noqa: DTZ001  # a wall has no zone
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def times_after(cron: Cron, wall: datetime) -> Iterator[datetime]:
    """Yield the matching times (naive) strictly after one, rising, to the end of the calendar."""
    today = wall.date()
    for day in dates(cron, today, 1):
        earliest = wall.hour if day == today else 0
        for hour in cron.hours[bisect_left(cron.hours, earliest) :]:
            passed = bisect_right(cron.minutes, wall.minute) if day == today and hour == wall.hour else 0
            for minute in cron.minutes[passed:]:
                yield datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # a wall has no zone


def times_before(cron: Cron, wall: datetime) -> Iterator[datetime]:
    """Yield the matching times (naive) strictly before one, falling, to the start of the calendar."""
    if wall == EARLIEST:
        return
    wall -= _MICROSECOND
    today = wall.date()
    for day in dates(cron, today, -1):
        latest = wall.hour if day == today else 23
        for hour in reversed(cron.hours[: bisect_right(cron.hours, latest)]):
            left = bisect_right(cron.minutes, wall.minute) if day == today and hour == wall.hour else 60
            for minute in reversed(cron.minutes[:left]):
                yield datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # a wall has no zone


def dates(cron: Cron, first: date, direction: int) -> Iterator[date]:
    """Yield the matching dates from one on, forwards (1) or backwards (-1), jumping over other months."""
    day, step = first, direction * _DAY
    try:
        while True:
            if day.month not in cron.months:
                day = _next_month(day) if direction > 0 else day.replace(day=1) - _DAY
                continue
            if matches(cron, day):
                yield day
            day += step
    except OverflowError:
        return  # years 1 and 9999 are where Python's calendar ends


def _next_month(day: date) -> date:
    return (day.replace(day=1) + 31 * _DAY).replace(day=1)


def matches(cron: Cron, day: date) -> bool:
    """Tell whether the day fields and the month match a date."""
    if day.month not in cron.months:
        return False
    if cron.either_day:
        return _in_days(cron, day) or _in_weekdays(cron, day)
    return _in_days(cron, day) and _in_weekdays(cron, day)


def _in_days(cron: Cron, day: date) -> bool:
    return day.day in cron.days or (0 in cron.days and day.day == _length(day))


def _in_weekdays(cron: Cron, day: date) -> bool:
    weekday = day.isoweekday() % 7
    if weekday in cron.weekdays:
        return True
    if not cron.nth_weekdays:
        return False
    nth = (day.day + 6) // 7
    return (weekday, nth) in cron.nth_weekdays or ((weekday, 0) in cron.nth_weekdays and day.day + 7 > _length(day))


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]
