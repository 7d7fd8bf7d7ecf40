"""The five fields of a cron expression, as Debian's cron reads them, plus ``N/S``, ``L``, ``dow#n`` and ``dowL``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from supervisor.core.schedule.values import Cron, Reboot, ScheduleError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


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
    text = expression.strip()
    if text.startswith("@"):
        if text == "@reboot":
            return Reboot()
        if text not in ALIASES:
            known = ", ".join((*ALIASES, "@reboot"))
            raise ScheduleError(f'unknown alias "{text}"; known are {known}')
        text = ALIASES[text]
    fields = text.split()
    if len(fields) != 5:
        raise ScheduleError(_count_problem(len(fields)))
    minute, hour, day, month, weekday = fields
    days, last_day = _days(day)
    weekdays, nth = _weekdays(weekday)
    cron = Cron(
        expression=expression,
        zone=zone,
        minutes=tuple(sorted(_numbers(minute, MINUTE))),
        hours=tuple(sorted(_numbers(hour, HOUR))),
        months=tuple(sorted(_numbers(month, MONTH))),
        days=frozenset(days | ({0} if last_day else set())),
        weekdays=frozenset(number % 7 for number in weekdays),
        nth_weekdays=frozenset(nth),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
        follows_clock=minute.startswith("*") or hour.startswith("*"),
    )
    _refuse_never(cron, expression)
    return cron


def _count_problem(count: int) -> str:
    if count == 6:
        return "6 fields: seconds (or years) are not supported; a cron expression has five fields"
    return f"{count} fields; expected five (minute hour day-of-month month day-of-week) or an @alias"


def _days(text: str) -> tuple[set[int], bool]:
    parts = text.split(",")
    plain = [part for part in parts if part != "L"]
    return (_numbers(",".join(plain), DAY) if plain else set()), len(plain) < len(parts)


def _weekdays(text: str) -> tuple[set[int], set[tuple[int, int]]]:
    plain: list[str] = []
    nth: set[tuple[int, int]] = set()
    for part in text.split(","):
        name, sharp, count = part.partition("#")
        if sharp:
            if not _DIGITS.fullmatch(count) or not 1 <= int(count) <= 5:
                raise _problem(WEEKDAY, part, f'"#{count}" is not in #1..#5')
            nth.add((_number(name, WEEKDAY, part) % 7, int(count)))
        elif part.endswith("L") and len(part) > 1:
            nth.add((_number(part[:-1], WEEKDAY, part) % 7, 0))
        else:
            plain.append(part)
    return (_numbers(",".join(plain), WEEKDAY) if plain else set()), nth


def _numbers(text: str, field: Field) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _part(part, field)
    return found


def _part(part: str, field: Field) -> set[int]:
    span, slash, step_text = part.partition("/")
    if not span:
        raise _problem(field, part, "a part of the list is empty")
    step = 1
    if slash:
        if not _DIGITS.fullmatch(step_text) or int(step_text) == 0:
            raise _problem(field, part, f'step "{step_text}" is not a number above 0')
        step = int(step_text)
    if span == "*":
        return set(range(field.low, _top(field) + 1, step))
    first_text, dash, last_text = span.partition("-")
    first = _number(first_text, field, part)
    if dash:
        last = _number(last_text, field, part)
        if last < first:
            raise _problem(field, part, f"the range {first}-{last} is reversed; write it as two parts")
        return set(range(first, last + 1, step))
    return set(range(first, _top(field) + 1, step)) if slash else {first}


def _top(field: Field) -> int:
    return 6 if field is WEEKDAY else field.high


def _number(text: str, field: Field, part: str) -> int:
    named = field.names.get(text.lower()) if text.isascii() else None
    if named is not None:
        return named
    if not _DIGITS.fullmatch(text):
        raise _problem(field, part, _word_problem(text))
    if not field.low <= int(text) <= field.high:
        raise _problem(field, part, f"{text} is not in {field.low}..{field.high}")
    return int(text)


def _word_problem(text: str) -> str:
    if text == "?":
        return '"?" is not supported; write "*"'
    if text.startswith("H"):
        return '"H" is not supported; use `jitter` to spread jobs'
    if text.lower() in {*MONTH.names, *WEEKDAY.names}:
        return f'"{text}" is a name of another field'
    if not text.isascii():
        return f'"{text}" is not written in ASCII digits'
    return f'"{text}" is not a number' if text else "a number is missing"


def _problem(field: Field, part: str, why: str) -> ScheduleError:
    return ScheduleError(f'{field.name} field "{part}": {why}')


def _refuse_never(cron: Cron, expression: str) -> None:
    """Refuse dates that no month has, such as 30 February."""
    if 0 in cron.days or (cron.either_day and (cron.weekdays or cron.nth_weekdays)):
        return
    if not any(day <= _LONGEST_MONTH[month - 1] for month in cron.months for day in cron.days):
        raise ScheduleError(f'"{expression}" never comes: none of its months has such a day')
