"""The rules of cron and daylight saving said again, slowly: look at the clock on the wall each minute.

For zones whose offsets are whole minutes.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from supervisor.core.schedule import Cron

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def dues(cron: Cron, a: datetime, b: datetime) -> list[datetime]:
    """Return the due times in (a, b]; the clock must not show the minute before ``a`` a second time."""
    found = (_shown if cron.follows_clock else _reached)(cron, a.astimezone(UTC), b.astimezone(UTC))
    return [at for at in found if a < at <= b]


def _shown(cron: Cron, a: datetime, b: datetime) -> Iterator[datetime]:
    for at in _minutes(a, b):
        if matches(cron, wall(cron, at)):
            yield at


def _reached(cron: Cron, a: datetime, b: datetime) -> Iterator[datetime]:
    reached = wall(cron, _floor(a))
    for at in _minutes(a, b):
        times = list(_minutes_of_wall(reached, wall(cron, at)))
        if any(matches(cron, time) for time in times):
            yield at
        reached = max(reached, *times) if times else reached


def wall(cron: Cron, at: datetime) -> datetime:
    return at.astimezone(cron.zone).replace(tzinfo=None)


def matches(cron: Cron, time: datetime) -> bool:
    if time.minute not in cron.minutes or time.hour not in cron.hours or time.month not in cron.months:
        return False
    in_days = time.day in cron.days or (0 in cron.days and (time + DAY).day == 1)
    weekday = (time.weekday() + 1) % 7
    same = [day for day in range(1, 32) if _weekday(time, day) == weekday]
    nth = {(weekday, same.index(time.day) + 1)} | ({(weekday, 0)} if same[-1] == time.day else set())
    in_week = weekday in cron.weekdays or bool(nth & cron.nth_weekdays)
    return (in_days or in_week) if cron.either_day else (in_days and in_week)


def _weekday(time: datetime, day: int) -> int | None:
    try:
        return (date(time.year, time.month, day).weekday() + 1) % 7
    except ValueError:
        return None


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _minutes(a: datetime, b: datetime) -> Iterator[datetime]:
    at = _floor(a) + MINUTE
    while at <= b:
        yield at
        at += MINUTE


def _minutes_of_wall(reached: datetime, shown: datetime) -> Iterator[datetime]:
    while reached < shown:
        reached += MINUTE
        yield reached
