"""Readers, one for each shape of value: given what TOML gave, they return what the core wants, or every fault of it.

They are values themselves, so that what a key takes can also be told (a JSON schema, a page of documentation).
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from supervisor.core.durations import format_duration, parse_duration, parse_signal, parse_size
from supervisor.core.exits import signal_name
from supervisor.core.instants import ZERO
from supervisor.core.manifest.wording import Path, found, near, quoted
from supervisor.values import dataclass, field

MICROSECOND = timedelta(microseconds=1)
NOBODY = 2**32 - 1
"""(uid_t)-1 stands for no change in chown(2) and setresuid(2)."""
_SIGNALS = tuple(signal_name(number) for number in range(1, 32))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a value; ``inside`` is the path below the key where it is."""

    text: str
    inside: Path = ()


class ReadError(ValueError):
    """A value is not what its key takes."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*(fault.text for fault in faults))
        self.faults = faults


class Reader(Protocol):
    """Reads the value of a key."""

    def read(self, value: Any) -> Any:
        """Return what the core wants.

        Raises:
            ReadError: the value is not what the key takes; all its faults at once.
        """


def refused(value: Any, expected: str) -> ReadError:
    """Return the error that says what was found and what was expected."""
    return ReadError(Fault(f"found {found(value)}; expected {expected}"))


@dataclass(frozen=True, slots=True)
class Text:
    """Any string, or one that is not empty."""

    filled: bool = False

    def read(self, value: Any) -> str:
        """Return it as it is."""
        if not isinstance(value, str) or (self.filled and not value):
            raise refused(value, "a string that is not empty" if self.filled else "a string")
        if "\0" in value:
            raise ReadError(Fault("a NUL character cannot stand in it"))
        return value


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a group, by name or number; whether there is one only the machine tells."""

    what: str

    def read(self, value: Any) -> str | int:
        """Return it as it is."""
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number and 0 <= value < NOBODY:
            return int(value)
        if isinstance(value, str) and value and not any(each in "\0:\n/" for each in value):
            return value
        raise refused(value, f"the name or the number of a {self.what}")


@dataclass(frozen=True, slots=True)
class Umask:
    """Octal digits, in quotes: TOML would take 22 for twenty-two."""

    def read(self, value: Any) -> int:
        """Return the mask."""
        if isinstance(value, str) and value.isascii() and value.isdigit():
            with suppress(ValueError):
                if (mask := int(value, 8)) <= 0o777:
                    return mask
        raise refused(value, 'octal digits in quotes, such as "027"')


@dataclass(frozen=True, slots=True)
class Stdin:
    """``"null"``, or ``"file:PATH"``."""

    def read(self, value: Any) -> str | None:
        """Return the path; None is /dev/null."""
        match value:
            case "null":
                return None
            case str() if value.startswith("file:") and len(value) > 5 and "\0" not in value:
                return value.removeprefix("file:")
        raise refused(value, '"null" or "file:PATH"')


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: Any) -> bool:
        """Return it as it is."""
        if not isinstance(value, bool):
            raise refused(value, "true or false")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in a range, ends included."""

    least: int
    most: int

    def read(self, value: Any) -> int:
        """Return it as it is; a bool is no number."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise refused(value, f"a whole number from {self.least} to {self.most}")
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range, ends included."""

    least: float
    most: float

    def read(self, value: Any) -> float:
        """Return it as a float; a bool is no number, and no number is in no range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise refused(value, f"a number from {self.least:g} to {self.most:g}")
        return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A duration of at least ``least`` (or zero where ``zero`` says so); ``word`` stands for none at all."""

    least: timedelta = MICROSECOND
    zero: bool = False
    word: str | None = None

    def read(self, value: Any) -> timedelta | None:
        """Return it; None for the word."""
        if isinstance(value, str) and value == self.word:
            return None
        also = f' or "{self.word}"' if self.word else ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            bare = found(value)
            raise ReadError(Fault(f'found {bare}; the unit is missing: write "{bare}s", "{bare}m" or "{bare}h"{also}'))
        if not isinstance(value, str):
            raise refused(value, f'a duration such as "90s", "5m", "1h30m"{also}')
        try:
            length = parse_duration(value)
        except ValueError as error:
            raise ReadError(Fault(f"{quoted(value)} is not a duration: {error}")) from None
        if length < self.least and not (self.zero and length == ZERO):
            least = f"at least {format_duration(self.least)}" if self.least > MICROSECOND else "more than 0"
            raise refused(value, least + also)
        return length


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A size in bytes, at least one kilobyte; some words stand for others."""

    words: Mapping[str, int] = field(default_factory=dict)

    def read(self, value: Any) -> int:
        """Return the bytes."""
        if isinstance(value, str) and value in self.words:
            return self.words[value]
        if isinstance(value, int) and not isinstance(value, bool):
            bare = found(value)
            raise ReadError(Fault(f'found {bare}; the unit is missing: write "{bare}K", "{bare}M" or "{bare}G"'))
        if not isinstance(value, str):
            raise refused(value, 'a size such as "512M"')
        try:
            count = parse_size(value)
        except ValueError as error:
            raise ReadError(Fault(f"{quoted(value)} is not a size: {error}")) from None
        if count < 1024:
            raise refused(value, 'at least "1K"')
        return count


@dataclass(frozen=True, slots=True)
class Percent:
    """A whole percentage in quotes, such as ``"150%"``."""

    most: int

    def read(self, value: Any) -> int:
        """Return the number before the sign."""
        if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}%", value) and int(value[:-1]) <= self.most:
            return int(value[:-1])
        raise refused(value, f'a percentage in quotes, from "1%" to "{self.most}%"')


@dataclass(frozen=True, slots=True)
class Signal:
    """The name of a signal."""

    def read(self, value: Any) -> int:
        """Return its number."""
        if not isinstance(value, str):
            raise refused(value, 'the name of a signal, such as "TERM"')
        try:
            return parse_signal(value)
        except ValueError as error:
            hint = near(value.upper(), (*_SIGNALS, *(name.removeprefix("SIG") for name in _SIGNALS)))
            raise ReadError(Fault(f"{quoted(value)} is not a signal: {error}{hint}")) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some words, each with what it stands for; ``synonyms`` are taken and not offered."""

    words: Mapping[str, Any]
    synonyms: Mapping[str, Any] = field(default_factory=dict)
    otherwise: str = ""
    """What else the key takes, for messages: a table."""

    def read(self, value: Any) -> Any:
        """Return what the word stands for."""
        if isinstance(value, str):
            if value in self.words:
                return self.words[value]
            if value in self.synonyms:
                return self.synonyms[value]
        offered = ", ".join(f'"{word}"' for word in self.words)
        expected = offered if len(self.words) == 1 else f"one of {offered}"
        hint = near(value, (*self.words, *self.synonyms)) if isinstance(value, str) else ""
        also = f" or {self.otherwise}" if self.otherwise else ""
        raise ReadError(Fault(f"found {found(value)}; expected {expected}{also}{hint}"))


def choice_of(words: type[StrEnum], **synonyms: StrEnum) -> Choice:
    """Return the reader of an enum's words."""
    return Choice(words={word.value: word for word in words}, synonyms=synonyms)


@dataclass(frozen=True, slots=True)
class Inside:
    """A table whose keys are read one by one, and nothing else."""

    def read(self, value: Any) -> Any:
        """Refuse what is no table."""
        raise refused(value, "a table")


@dataclass(frozen=True, slots=True)
class Several:
    """An array whose elements are all read alike."""

    each: Reader
    elements: str
    """What they are, for messages: strings."""

    def read(self, value: Any) -> tuple[Any, ...]:
        """Return the elements."""
        if not isinstance(value, list):
            raise refused(value, f"an array of {self.elements}")
        faults: list[Fault] = []
        elements: list[Any] = []
        for index, element in enumerate(value):
            try:
                elements.append(self.each.read(element))
            except ReadError as error:
                faults += (Fault(fault.text, (index, *fault.inside)) for fault in error.faults)
        if faults:
            raise ReadError(*faults)
        return tuple(elements)


@dataclass(frozen=True, slots=True)
class Instant:
    """A date and time, with or without offset."""

    def read(self, value: Any) -> datetime:
        """Return it; without offset it is naive."""
        if not isinstance(value, datetime):
            quotes = " (without quotes)" if isinstance(value, str) else ""
            raise refused(value, f"a date and time such as 2026-12-01T10:00:00Z{quotes}")
        return value


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address of http or https. What is wrong with one is told without it: it may hold secrets."""

    def read(self, value: Any) -> str:
        """Return it as it is."""
        expected = 'an address such as "https://example.com/hook"'
        if not isinstance(value, str):
            raise refused(value, expected)
        found = _ADDRESS.fullmatch(value)
        if found is None or (found["port"] and int(found["port"]) > _HIGHEST_PORT):
            raise ReadError(Fault(f"expected {expected}; a blank or a character that is not ASCII is written as %XX"))
        return value


_ADDRESS = re.compile(
    r"https?://(?:[^/?#@\s]*@)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?(?:[/?][!-~]*)?"
)
_HIGHEST_PORT = 65_535
