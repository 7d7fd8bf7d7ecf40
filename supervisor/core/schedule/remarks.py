"""What is worth a warning in a schedule that is valid: it may not mean what its writer thinks."""

from collections.abc import Iterator
from datetime import timedelta

from supervisor.core.schedule.daylight import gaps
from supervisor.core.schedule.fields import split
from supervisor.core.schedule.values import Cron, Schedule
from supervisor.core.schedule.wall import times_after
from supervisor.core.schedule.zones import zone_name

_MICROSECOND = timedelta(microseconds=1)
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
        times = []
        for at in times_after(cron, start - _MICROSECOND):
            if at >= end:
                break
            times.append(f"{at:%H:%M}")
        if times:
            shown = ", ".join(times) if len(times) < 4 else f"{times[0]} to {times[-1]}"
            place = zone_name(cron.zone)
            yield f"{start:%Y-%m-%d} has no {shown} in {place}: due when the clock has jumped, at {end:%Y-%m-%d %H:%M}"
