"""What is worth a warning in a schedule that is valid: it may not mean what its writer thinks."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from supervisor.core.schedule.daylight import gaps, shifts
from supervisor.core.schedule.fields import split
from supervisor.core.schedule.values import Cron, Schedule
from supervisor.core.schedule.wall import times_after
from supervisor.core.schedule.zones import zone_name

_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)
_ROUNDS = (
    ("minute", 60, "hour"),
    ("hour", 24, "day"),
    ("day-of-month", None, "month"),
    ("month", 12, "year"),
    ("day-of-week", 7, "week"),
)
"""For each field its name, how many values a round has (None: it varies), and what the round is."""


def remarks(schedule: Schedule, year: int) -> tuple[str, ...]:
    """Return a sentence for each surprise in a schedule; those about daylight saving are of one year (local time).

    They are: steps that do not fit into the hour, day, month, year or week; two day fields of which either is enough;
    fixed times that the clock jumps over.
    """
    if not isinstance(schedule, Cron):
        return ()
    return (*_uneven_steps(schedule), *_either_day(schedule), *_skipped(schedule, year))


def _uneven_steps(cron: Cron) -> Iterator[str]:
    for field, (name, size, whole) in zip(split(cron.expression), _ROUNDS, strict=True):
        for part in field.split(","):
            span, _, step = part.partition("/")
            if span == "*" and step and (problem := _problem(int(step), size, name, whole)):
                yield f'{name} field "{part}": {problem}'


def _problem(step: int, size: int | None, name: str, whole: str) -> str | None:
    if step == 1:
        return None
    if size is None:
        return f"it counts from the 1st, so the last step of a {whole} may be shorter"
    if step >= size:
        return f"no {whole} has so many, so only the first {name} matches"
    return f"{step} does not divide {size}, so the last step of each {whole} is shorter" if size % step else None


def _either_day(cron: Cron) -> Iterator[str]:
    if cron.either_day:
        _, _, day, _, weekday = split(cron.expression)
        yield f'both day fields are set: a date counts if day-of-month "{day}" or day-of-week "{weekday}" matches'


def _skipped(cron: Cron, year: int) -> Iterator[str]:
    if cron.follows_clock:
        return
    for start, end in gaps(cron.zone, year):
        times = _times(cron, start, end)
        if times:
            yield f"{_has_no(start, times, cron)}: {_jumped(end)}"


def daylight_effects(schedule: Schedule, a: datetime, b: datetime) -> tuple[str, ...]:
    """Return a sentence for each time that daylight saving moves, drops or doubles a due time in (a, b]."""
    return tuple(_effects(schedule, a, b)) if isinstance(schedule, Cron) else ()


def _effects(cron: Cron, a: datetime, b: datetime) -> Iterator[str]:
    for shift in shifts(cron.zone, a, b):
        start, end = shift.walls
        times = _times(cron, start, end)
        if not times or (cron.follows_clock and len(cron.hours) == 24 and not (end - start) % _HOUR):
            continue  # due in every hour, and so it stays
        if shift.is_gap:
            effect = "left out, as it follows the clock" if cron.follows_clock else _jumped(end)
            yield f"{_has_no(start, times, cron)}: {effect}"
        else:
            effect = "due both times, as it follows the clock" if cron.follows_clock else "due the first time only"
            yield f"{start:%Y-%m-%d} has {_listed(times)} twice in {zone_name(cron.zone)}: {effect}"


def _times(cron: Cron, start: datetime, end: datetime) -> list[str]:
    """Return the matching wall times from one on, up to another."""
    return [f"{at:%H:%M}" for at in takewhile(lambda at: at < end, times_after(cron, start - _MICROSECOND))]


def _has_no(day: datetime, times: Sequence[str], cron: Cron) -> str:
    return f"{day:%Y-%m-%d} has no {_listed(times)} in {zone_name(cron.zone)}"


def _listed(times: Sequence[str]) -> str:
    return ", ".join(times) if len(times) < 4 else f"{times[0]} to {times[-1]}"


def _jumped(end: datetime) -> str:
    return f"due when the clock has jumped, at {end:%Y-%m-%d %H:%M}"
