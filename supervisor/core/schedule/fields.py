"""The five fields of a cron expression, as Debian's cron reads them, plus ``N/S``, ``L``, ``dow#n`` and ``dowL``."""

import re
from collections.abc import Mapping
from datetime import date, tzinfo

from supervisor.core.schedule.values import Cron, Reboot, ScheduleError
from supervisor.core.schedule.wall import matches
from supervisor.values import dataclass

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
REBOOT = "@reboot"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BLANK = re.compile(r"\s+", re.ASCII)
_DIGITS = re.compile(r"[0-9]+")
_LONGEST = 1000
"""Characters; all minutes, hours and dates spelt out in lists take fewer."""
_ALL_YEARS = 28
"""Among so many years running stand all that differ: each weekday as 1 January, of a leap year and of another."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five: its name for messages, its range, the names that count as numbers."""

    name: str
    low: int
    high: int
    names: Mapping[str, int]


MINUTE = Field("minute", 0, 59, {})
HOUR = Field("hour", 0, 23, {})
DAY = Field("day-of-month", 1, 31, {})
MONTH = Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
WEEKDAY = Field("day-of-week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)})


def parse_cron(expression: str, zone: tzinfo) -> Cron | Reboot:
    """Return the schedule that five fields or an alias say.

    Raises:
        ScheduleError: it is not one; the text names the field and the reason.
    """
    text = _written_out(expression)
    if len(text) > _LONGEST:
        raise ScheduleError(f"longer than {_LONGEST} characters")
    if text == REBOOT:
        return Reboot()
    if text.startswith("@"):
        raise ScheduleError(f'unknown alias "{text}"; known are {", ".join((*ALIASES, REBOOT))}')
    fields = split(text)
    if len(fields) != 5:
        raise ScheduleError(_count_problem(len(fields)))
    minute, hour, day, month, weekday = fields
    weekdays, nth_weekdays = _weekdays(weekday)
    cron = Cron(
        expression=expression,
        zone=zone,
        minutes=tuple(sorted(_numbers(minute, MINUTE))),
        hours=tuple(sorted(_numbers(hour, HOUR))),
        months=tuple(sorted(_numbers(month, MONTH))),
        days=frozenset(_days(day)),
        weekdays=frozenset(weekdays),
        nth_weekdays=frozenset(nth_weekdays),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
        follows_clock=minute.startswith("*") or hour.startswith("*"),
    )
    if not _comes(cron):
        said = f'day-of-month "{day}", month "{month}", day-of-week "{weekday}"'
        raise ScheduleError(f"never comes: no year has a date with {said}")
    return cron


def canonical(expression: str) -> str:
    """Return one text for all expressions that differ only in blanks, in case, or by an alias."""
    return _written_out(expression).lower()


def split(expression: str) -> list[str]:
    """Return the fields of an expression as they are written, those of an alias written out."""
    return [field for field in _written_out(expression).split(" ") if field]


def _written_out(expression: str) -> str:
    text = _BLANK.sub(" ", expression).strip(" ")
    return ALIASES.get(text, text)


def _comes(cron: Cron) -> bool:
    days = range(date(2000, 1, 1).toordinal(), date(2000 + _ALL_YEARS, 1, 1).toordinal())
    return any(matches(cron, date.fromordinal(day)) for day in days)


def _count_problem(count: int) -> str:
    if count in {6, 7}:
        return f"{count} fields; seconds and years are not supported, a cron expression has five fields"
    found = f"{count} field{'' if count == 1 else 's'}"
    return f"{found}; expected five (minute hour day-of-month month day-of-week) or an @alias"


def _days(text: str) -> set[int]:
    """Return the days of the month; 0 is the last one."""
    found: set[int] = set()
    for part in text.split(","):
        found |= {0} if part in {"l", "L"} else _part(part, DAY)
    return found


def _weekdays(text: str) -> tuple[set[int], set[tuple[int, int]]]:
    """Return the weekdays of every week, and those (weekday, n) of one week of the month; n = 0 is the last."""
    weekly: set[int] = set()
    monthly: set[tuple[int, int]] = set()
    for part in text.split(","):
        name, sharp, count = part.partition("#")
        if sharp:
            if count not in {"1", "2", "3", "4", "5"}:
                raise _problem(WEEKDAY, part, f'"#{count}" is not in #1..#5')
            monthly.add((_number(name, WEEKDAY, part) % 7, int(count)))
        elif part in {"l", "L"}:
            raise _problem(WEEKDAY, part, 'which weekday is meant? The last Friday of a month is "friL"')
        elif part.endswith(("l", "L")):
            monthly.add((_number(part[:-1], WEEKDAY, part) % 7, 0))
        else:
            weekly |= {number % 7 for number in _part(part, WEEKDAY)}
    return weekly, monthly


def _numbers(text: str, field: Field) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _part(part, field)
    return found


def _part(part: str, field: Field) -> set[int]:
    """Return the numbers that one part of a list means: ``*``, ``N`` or ``N-M``, each also with a step."""
    span, slash, step_text = part.partition("/")
    step = _step(step_text, field, part) if slash else 1
    if span == "*":
        return set(range(field.low, field.high + 1, step))
    first_text, dash, last_text = span.partition("-")
    first = _number(first_text, field, part)
    if not dash:
        return set(range(first, field.high + 1, step)) if slash else {first}
    last = _number(last_text, field, part)
    if last < first:
        raise _problem(field, part, f'the range "{span}" is reversed; write it as two parts of a list')
    return set(range(first, last + 1, step))


def _step(text: str, field: Field, part: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) == 0:
        raise _problem(field, part, f'the step "{text}" is not a number above 0')
    return int(text)


def _number(text: str, field: Field, part: str) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    if not _DIGITS.fullmatch(text):
        raise _problem(field, part, _word_problem(text, field))
    if not field.low <= int(text) <= field.high:
        raise _problem(field, part, f"{text} is not in {field.low}..{field.high}")
    return int(text)


def _word_problem(text: str, field: Field) -> str:
    if not text:
        return "a number is missing"
    if not text.isascii():
        return f'"{text}" is not written in ASCII characters'
    if text == "?":
        return '"?" is not supported; write "*"'
    if text.startswith(("h", "H")):
        return '"H" is not supported; `jitter` spreads jobs over time'
    for other in (MONTH, WEEKDAY):
        if text.lower() in other.names:
            return f'"{text}" is a {other.name}, not a {field.name}'
    names = f' or a name such as "{next(iter(field.names))}"' if field.names else ""
    return f'"{text}" is not a number{names}'


def _problem(field: Field, part: str, why: str) -> ScheduleError:
    return ScheduleError(f'{field.name} field "{part}": {why}')
