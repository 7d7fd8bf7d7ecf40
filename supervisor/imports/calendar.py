"""Calendar events of systemd.time(7) as cron expressions, where cron has words for them."""

import re

from supervisor.values import dataclass

_SHORT = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DATE = re.compile(r"(?:([^-~\s]+)-)?([^-~\s]+)([-~])([^-~\s]+)")
_TIME = re.compile(r"([^:\s]+):([^:\s]+)(?::([^:\s]+))?")
_FIELD_PART = re.compile(r"(\*|[0-9]+)(?:\.\.([0-9]+))?(?:/([0-9]+))?")
_OF_A_MINUTE = frozenset(number for number in range(1, 61) if 60 % number == 0)
_WEEKS = {(1, 7): 1, (8, 14): 2, (15, 21): 3, (22, 28): 4}


class NoCronError(ValueError):
    """Cron has no words for a calendar event; the text says which part it cannot say."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar event as the manifest says it."""

    cron: str | None
    every: str | None
    """Of seconds, which cron does not have."""
    timezone: str | None


def parse_calendar(text: str) -> Calendar:
    """Return a calendar event.

    Raises:
        NoCronError: cron cannot say it.
    """
    words = text.split()
    if not words:
        raise NoCronError("it is empty")
    zone = (
        words.pop()
        if len(words) > 1 and (words[-1] == "UTC" or re.fullmatch(r"[A-Z][A-Za-z_]+/\S+", words[-1]))
        else None
    )
    spelt = _SHORT.get(" ".join(words).lower())
    words = spelt.split() if spelt else words
    weekday, date, time = "*", "*-*-*", "00:00:00"
    for word in words:
        if _TIME.fullmatch(word):
            time = word
        elif _DATE.fullmatch(word):
            date = word
        elif word[:1].isalpha():
            weekday = word
        else:
            raise NoCronError(f'"{word}" is neither a weekday, a date nor a time')
    hour, minute, second = _fields(_TIME, time)
    month, day, dow = _date(date, weekday)
    if _FIELD_PART.fullmatch(second or "0") is None:
        raise NoCronError(f"seconds {second}: cron has none")
    seconds = re.fullmatch(r"(?:\*|0+)/([0-9]+)", second or "")
    if seconds and (hour, minute, month, day, dow) == ("*",) * 5 and int(seconds[1]) in _OF_A_MINUTE:
        return Calendar(None, f"{int(seconds[1])}s", zone)
    if second == "*" or int((second or "0").partition("/")[0]) or "/" in (second or ""):
        raise NoCronError(f"seconds {second}: cron has none")
    return Calendar(f"{_cron(minute, 0, 59)} {_cron(hour, 0, 23)} {day} {month} {dow}", None, zone)


def _fields(pattern: re.Pattern[str], text: str) -> tuple[str, str, str]:
    found = pattern.fullmatch(text)
    assert found is not None
    return found[1], found[2], found[3] or "0"


def _date(date: str, weekday: str) -> tuple[str, str, str]:
    """Return month, day and weekday as cron writes them."""
    found = _DATE.fullmatch(date)
    assert found is not None
    year, month, tilde, day = found.groups()
    if year not in {None, "*"}:
        raise NoCronError(f"the year {year}: cron comes every year; use `at` for one date")
    dow = "*" if weekday == "*" else _weekdays(weekday)
    if tilde == "~":
        if day not in {"1", "01"}:
            raise NoCronError(f"~{day}: of days counted from the month's end cron has the last alone")
        days = "L"
    else:
        days = _cron(day, 1, 31)
    if dow != "*" and days != "*":
        days, dow = _nth_weekday(days, dow)
    return _cron(month, 1, 12), days, dow


def _nth_weekday(days: str, dow: str) -> tuple[str, str]:
    """Return the n-th weekday of a month, which is all that both day fields together can say.

    Raises:
        NoCronError: they say something else; cron would take either of them, where systemd wants both.
    """
    low, _, high = days.partition("-")
    week = _WEEKS.get((int(low), int(high))) if low.isdigit() and high.isdigit() else None
    if week is None or not dow.isalpha():
        raise NoCronError("both a weekday and days of the month: cron would run on either")
    return "*", f"{dow}#{week}"


def _weekdays(text: str) -> str:
    chosen: list[str] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        names = [name[:3].lower() for name in (first, last) if name]
        if any(name not in _WEEKDAYS for name in names) or sorted(names, key=_WEEKDAYS.index) != names:
            raise NoCronError(f'"{text}" is no list of weekdays')
        if dots and len(names) > 1:
            low, high = map(_WEEKDAYS.index, names)
            chosen += _WEEKDAYS[low : high + 1]
        else:
            chosen += names
    ordered = sorted(set(chosen), key=_WEEKDAYS.index)
    first_at, last_at = _WEEKDAYS.index(ordered[0]), _WEEKDAYS.index(ordered[-1])
    if len(ordered) == 7:
        return "*"
    # Sunday ends no range of cron's, which has it for 0
    is_run = len(ordered) > 2 and last_at - first_at + 1 == len(ordered) and ordered[-1] != "sun"
    return f"{ordered[0]}-{ordered[-1]}" if is_run else ",".join(ordered)


def _cron(text: str, low: int, high: int) -> str:
    """Return one field: ``2..10/2`` is ``2-10/2``, ``0/15`` is ``*/15``; ``low`` and ``high`` are its range."""
    return ",".join(_cron_part(part, low, high) for part in text.split(","))


def _cron_part(part: str, low: int, high: int) -> str:
    found = _FIELD_PART.fullmatch(part)
    if found is None:
        raise NoCronError(f'"{part}": cron has nothing like it')
    first, last, step = found.groups()
    number = first if first == "*" else str(int(first))
    if last:
        number = f"{number}-{int(last)}"
    elif step and first != "*":
        number = "*" if int(first) == low else f"{number}-{high}"
    return f"{number}/{int(step)}" if step else number
