"""One reader for each shape of value: takes what TOML gave, returns what the core wants, or says what is wrong."""

import re
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from supervisor.core.durations import parse_duration, parse_signal, parse_size
from supervisor.core.exits import SuccessExit
from supervisor.core.instants import ZERO

Reader = Callable[[Any], Any]
Word = TypeVar("Word", bound=StrEnum)

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class ReadError(ValueError):
    """A value is not what its key takes; ``inside`` is the path below the key, where it is a table."""

    def __init__(self, text: str, inside: str = "") -> None:
        super().__init__(text)
        self.inside = inside


def found(value: Any) -> str:
    """Return a value as an error shows it: ``"5x"``, ``true``, ``a table``."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case int() | float():
            return str(value)
        case dict():
            return "a table"
        case list():
            return "an array"
    return str(value)


def near(word: str, known: list[str]) -> str:
    """Return `` did you mean "…"?`` for the nearest known word, or nothing."""
    match get_close_matches(word, known, n=1, cutoff=0.6):
        case [nearest]:
            return f'; did you mean "{nearest}"?'
    return ""


def _refuse(value: Any, expected: str) -> ReadError:
    return ReadError(f"found {found(value)}; expected {expected}")


def text(value: Any) -> str:
    """Read any string."""
    if not isinstance(value, str):
        raise _refuse(value, "a string")
    if "\0" in value:
        raise ReadError("a NUL character cannot stand in it")
    return value


def filled(value: Any) -> str:
    """Read a string that is not empty."""
    if not text(value):
        raise _refuse(value, "a string that is not empty")
    return str(value)


def flag(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise _refuse(value, "true or false")
    return value


def whole(low: int, high: int | None = None) -> Reader:
    """Return a reader of whole numbers from ``low`` (to ``high``)."""
    expected = f"a whole number from {low} to {high}" if high is not None else f"a whole number of at least {low}"

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise _refuse(value, expected)
        return value

    return read


def number(low: float, high: float | None = None) -> Reader:
    """Return a reader of numbers from ``low`` (to ``high``)."""
    expected = f"a number from {low:g} to {high:g}" if high is not None else f"a number of at least {low:g}"

    def read(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= (high if high is not None else 1e9):
            raise _refuse(value, expected)
        return float(value)

    return read


def duration(
    *, least: timedelta = timedelta(microseconds=1), zero: bool = False, words: tuple[str, ...] = ()
) -> Reader:
    """Return a reader of durations; each of ``words`` (``"none"``, ``"off"``) stands for None."""
    also = "".join(f' or "{word}"' for word in words)

    def read(value: Any) -> timedelta | None:
        if value in words and isinstance(value, str):
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ReadError(f'found {value}; the unit is missing: write "{value}s", "{value}m" or "{value}h"')
        if not isinstance(value, str):
            raise _refuse(value, f'a duration such as "90s", "5m", "1h30m"{also}')
        try:
            length = parse_duration(value)
        except ValueError as error:
            raise ReadError(f'"{value}" is not a duration{also and also.replace(" or", " nor")}: {error}') from None
        if length == ZERO and zero:
            return length
        if length < least:
            lowest = f"{least // timedelta(milliseconds=1)}ms" if least >= timedelta(milliseconds=1) else "more than 0"
            raise ReadError(f'found "{value}"; expected at least {lowest}')
        return length

    return read


def size(value: Any) -> int:
    """Read a size in bytes, at least one kilobyte."""
    try:
        count = parse_size(text(value))
    except ReadError:
        raise _refuse(value, 'a size such as "512M"') from None
    except ValueError as error:
        raise ReadError(f'"{value}" is not a size: {error}') from None
    if count < 1024:
        raise ReadError(f'found "{value}"; expected at least "1K"')
    return count


def signal(value: Any) -> int:
    """Read the name of a signal."""
    try:
        return parse_signal(text(value))
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f'"{value}" is not a signal: {error}') from None


def one_of(words: type[Word], synonyms: Mapping[str, Word] | None = None) -> Reader:
    """Return a reader of one of an enum's words."""
    known = {word.value: word for word in words} | dict(synonyms or {})
    expected = ", ".join(f'"{word.value}"' for word in words)

    def read(value: Any) -> Word:
        if not isinstance(value, str) or value not in known:
            hint = near(value, list(known)) if isinstance(value, str) else ""
            raise ReadError(f"found {found(value)}; expected one of {expected}{hint}")
        return known[value]

    return read


def strings(value: Any) -> tuple[str, ...]:
    """Read an array of strings."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _refuse(value, "an array of strings")
    return tuple(value)


def array(value: Any) -> tuple[Any, ...]:
    """Read an array of anything."""
    if not isinstance(value, list):
        raise _refuse(value, "an array")
    _plain(value)
    return tuple(value)


def mapping(value: Any) -> dict[str, Any]:
    """Read a table of anything that JSON can carry."""
    if not isinstance(value, dict):
        raise _refuse(value, "a table")
    _plain(value)
    return value


def _plain(value: Any) -> None:
    match value:
        case dict():
            for each in value.values():
                _plain(each)
        case list():
            for each in value:
                _plain(each)
        case str() | int() | float() | bool():
            return
        case _:
            raise ReadError(f"found {value} in it; dates and times cannot be arguments, write them as strings")


def environment(value: Any) -> dict[str, str]:
    """Read a table of strings whose keys are names of environment variables."""
    if not isinstance(value, dict):
        raise _refuse(value, "a table of strings")
    for name, content in value.items():
        if not name or "=" in name or "\0" in name:
            raise ReadError(f'"{name}" cannot be the name of an environment variable', name)
        if not isinstance(content, str) or "\0" in content:
            raise ReadError(f"found {found(content)}; expected a string", name)
    return dict(value)


def target(value: Any) -> str:
    """Read ``package.module:name``."""
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise _refuse(value, '"package.module:name", a function or a Worker class')
    return value


def command(value: Any) -> str | tuple[str, ...]:
    """Read an array of words, or one string."""
    match value:
        case str() if value.strip():
            try:
                shlex.split(value)
            except ValueError as error:
                raise ReadError(f'"{value}" cannot be split as a shell would: {error}') from None
            return text(value)
        case [str(), *_] if all(isinstance(word, str) and "\0" not in word for word in value) and value[0]:
            return tuple(value)
    raise _refuse(value, 'an array such as ["prog", "arg"], or one string')


def instant(value: Any) -> datetime:
    """Read a date and time, with or without offset."""
    if not isinstance(value, datetime):
        raise _refuse(value, "a date and time such as 2026-12-01T10:00:00Z (no quotes)")
    return value


def success_exit(value: Any) -> SuccessExit:
    """Read exit codes and signal names."""
    if not isinstance(value, list):
        raise _refuse(value, 'an array of exit codes and signal names, such as [0, 75, "SIGTERM"]')
    codes, signals = set(), set()
    for each in value:
        if isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= 255:
            codes.add(each)
        elif isinstance(each, str):
            signals.add(signal(each))
        else:
            raise _refuse(each, "an exit code from 0 to 255 or the name of a signal")
    return SuccessExit(frozenset(codes), frozenset(signals))
