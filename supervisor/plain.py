"""Values as plain data and back, by the annotations of their classes: what one version writes, the next one reads.

The reader is strict. A field that is not there has its default, so a later version may know more; a field, a class or
a value that it does not know is an error, for nothing shall be lost without a word.
"""

import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from enum import Enum
from functools import cache, partial
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from supervisor.values import fields, is_dataclass

Fd = NewType("Fd", int)
"""A descriptor of this process; it keeps its number over an exec."""

Write = Callable[[Any], Any]
Read = Callable[[Any], Any]

_MICROSECOND = timedelta(microseconds=1)
_SCALARS: tuple[type, ...] = (str, int, float, bool)


class PlainError(ValueError):
    """What was read is not what this version would have written; ``place`` says where."""

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.problem = problem
        self.place = place

    def within(self, part: str) -> "PlainError":
        """Return the same problem, seen from outside."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        return PlainError(self.problem, f"{part}{joint}{self.place}")


class Writer:
    """Makes plain data of values. Values of the ``shared`` classes are written once each and referred to by number."""

    def __init__(self, *shared: type) -> None:
        self.fds: list[Fd] = []
        """Every descriptor that was in what was written."""
        self._writes: dict[Any, Write] = {}
        self._shared = shared
        self._numbers: dict[int, int] = {}
        self._tables: dict[str, list[Any]] = {kind.__name__: [] for kind in shared}
        self._kept: list[Any] = []
        """Values whose identity is remembered."""

    def document(self, value: Any, kind: Any) -> dict[str, Any]:
        """Return what ``Reader.value`` takes, fit for JSON."""
        return {"value": self._write_of(kind)(value), "shared": self._tables}

    def _write_of(self, kind: Any) -> Write:
        if kind not in self._writes:
            self._writes[kind] = partial(_later, self._writes, kind)  # a class may hold values of its own kind
            self._writes[kind] = self._made(kind)
        return self._writes[kind]

    def _made(self, kind: Any) -> Write:
        origin, args = get_origin(kind), get_args(kind)
        if kind is Fd:
            return self._fd
        if kind in self._shared:
            return partial(self._refer, self._fields(kind), self._tables[kind.__name__])
        if kind is Any:
            return _loose
        if kind in _SCALARS or kind is type(None):
            return _same
        if origin in {Union, types.UnionType}:
            return self._union(args)
        if origin is tuple and args[-1] is not ...:
            each = [self._write_of(arg) for arg in args]
            return lambda value: [write(item) for write, item in zip(each, value, strict=True)]
        if origin in {tuple, list, frozenset}:
            one = self._write_of(args[0])
            return lambda value: [one(item) for item in value]
        if _is_mapping(origin):
            key, item = self._write_of(args[0]), self._write_of(args[1])
            return lambda value: [[key(name), item(it)] for name, it in value.items()]
        if isinstance(kind, type):
            return self._class(kind)
        raise TypeError(f"{kind!r} cannot be written")

    def _class(self, kind: type) -> Write:
        if issubclass(kind, Enum):
            return lambda value: value.value
        if issubclass(kind, datetime):
            return datetime.isoformat
        if issubclass(kind, timedelta):
            return lambda value: value // _MICROSECOND
        if issubclass(kind, tzinfo):
            return lambda zone: str(getattr(zone, "key", None) or zone)
        return self._fields(kind)

    def _fields(self, kind: type) -> Write:
        writes = [(name, self._write_of(hint)) for name, hint in _hints(kind).items()]
        return lambda value: {name: write(getattr(value, name)) for name, write in writes}

    def _union(self, kinds: tuple[Any, ...]) -> Write:
        rest = [kind for kind in kinds if kind is not type(None)]
        if len(rest) == 1:
            write = self._write_of(rest[0])
            return lambda value: None if value is None else write(value)
        writes = {kind: self._write_of(kind) for kind in rest}

        def tagged(value: Any) -> Any:
            if value is None or type(value) in _SCALARS:
                return value
            return {"is": type(value).__name__, "of": writes[type(value)](value)}

        return tagged

    def _refer(self, write: Write, table: list[Any], value: Any) -> int:
        if id(value) not in self._numbers:
            self._kept.append(value)
            table.append(write(value))
            self._numbers[id(value)] = len(table) - 1
        return self._numbers[id(value)]

    def _fd(self, value: Fd) -> Fd:
        self.fds.append(value)
        return value


class Reader:
    """Makes the values again of what a ``Writer`` with the same ``shared`` classes has written."""

    def __init__(self, *shared: type, zone: Callable[[str], tzinfo]) -> None:
        """``zone`` returns a time zone by its name."""
        self._reads: dict[Any, Read] = {}
        self._shared = shared
        self._zone = zone
        self._tables: dict[str, list[Any]] = {}

    def value(self, document: Any, kind: Any) -> Any:
        """Return the value.

        Raises:
            PlainError: the document holds what this version does not know.
        """
        _expect(isinstance(document, dict) and document.keys() == {"value", "shared"}, "no document of values")
        _expect(document["shared"].keys() == {each.__name__ for each in self._shared}, "other shared values")
        for each in self._shared:
            read = self._fields(each)
            self._tables[each.__name__] = _each(read, document["shared"][each.__name__], each.__name__)
        return self._read_of(kind)(document["value"])

    def _read_of(self, kind: Any) -> Read:
        if kind not in self._reads:
            self._reads[kind] = partial(_later, self._reads, kind)  # a class may hold values of its own kind
            self._reads[kind] = self._made(kind)
        return self._reads[kind]

    def _made(self, kind: Any) -> Read:
        origin, args = get_origin(kind), get_args(kind)
        if kind is Fd:
            return partial(_exactly, int)
        if kind in self._shared:
            return partial(self._referred, kind.__name__)
        if kind is Any:
            return _loosened
        if kind is type(None) or kind in _SCALARS:
            return partial(_exactly, kind)
        if origin in {Union, types.UnionType}:
            return self._union(args)
        if origin is tuple and args[-1] is not ...:
            return partial(_row, [self._read_of(arg) for arg in args])
        if origin in {tuple, list, frozenset}:
            read = self._read_of(args[0])
            return lambda plain: origin(_each(read, plain))
        if _is_mapping(origin):
            pair = partial(_row, [self._read_of(arg) for arg in args])
            return lambda plain: dict(_each(pair, plain))
        if isinstance(kind, type):
            return self._class(kind)
        raise TypeError(f"{kind!r} cannot be read")

    def _class(self, kind: type) -> Read:
        if issubclass(kind, Enum):
            return partial(_converted, kind)
        if issubclass(kind, datetime):
            return partial(_converted, datetime.fromisoformat)
        if issubclass(kind, timedelta):
            return lambda plain: _exactly(int, plain) * _MICROSECOND
        if issubclass(kind, tzinfo):
            return partial(_converted, self._zone)
        return self._fields(kind)

    def _fields(self, kind: type) -> Read:
        reads = {name: self._read_of(hint) for name, hint in _hints(kind).items()}

        def read(plain: Any) -> Any:
            _expect(isinstance(plain, dict), f"{plain!r:.80} is no {kind.__name__}")
            unknown = plain.keys() - reads.keys()
            _expect(not unknown, f"{kind.__name__} has unknown fields: {', '.join(sorted(unknown))}")
            values = {name: _placed(reads[name], it, name) for name, it in plain.items()}
            return _converted(lambda known: kind(**known), values)  # one that lacks a field is refused by its class

        return read

    def _union(self, kinds: tuple[Any, ...]) -> Read:
        rest = [kind for kind in kinds if kind is not type(None)]
        may_be_none = len(rest) < len(kinds)
        if len(rest) == 1:
            read = self._read_of(rest[0])
            return lambda plain: None if plain is None else read(plain)
        reads = {kind.__name__: self._read_of(kind) for kind in rest}
        scalars = [kind for kind in rest if kind in _SCALARS]

        def tagged(plain: Any) -> Any:
            if (plain is None and may_be_none) or type(plain) in scalars:
                return plain
            _expect(isinstance(plain, dict) and plain.keys() == {"is", "of"}, f"{plain!r:.80} is none of {kinds}")
            _expect(plain["is"] in reads, f'"{plain["is"]}" is not known')
            return _placed(reads[plain["is"]], plain["of"], plain["is"])

        return tagged

    def _referred(self, name: str, plain: Any) -> Any:
        table = self._tables[name]
        _expect(type(plain) is int and 0 <= plain < len(table), f"there is no {name} number {plain!r:.80}")
        return table[plain]


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the fields of a class of values, each with its annotation."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return {field.name: hints[field.name] for field in fields(kind)}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: hints[name] for name in kind._fields}
    raise TypeError(f"{kind!r} is no class of values")


def _later(made: Mapping[Any, Callable[[Any], Any]], kind: Any, value: Any) -> Any:
    return made[kind](value)


def _is_mapping(origin: Any) -> bool:
    return origin is dict or origin is Mapping or origin is typing.Mapping


def _same(value: Any) -> Any:
    return value


def _loose(value: Any) -> Any:
    """Write what TOML and JSON know."""
    match value:
        case list() | tuple():
            return [_loose(item) for item in value]
        case dict():
            return {"is": "dict", "of": [[name, _loose(item)] for name, item in value.items()]}
        case datetime() | date() | time():
            return {"is": type(value).__name__, "of": value.isoformat()}
    return value


_LOOSE: dict[str, Read] = {
    "dict": lambda plain: {name: _loosened(item) for name, item in plain},
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
}


def _loosened(plain: Any) -> Any:
    match plain:
        case list():
            return [_loosened(item) for item in plain]
        case {"is": str(name), "of": of} if name in _LOOSE:
            return _converted(_LOOSE[name], of)
    return plain


def _exactly(kind: type, plain: Any) -> Any:
    """Take a scalar as it is; JSON has one kind of number where Python has two."""
    _expect(type(plain) is kind or (kind is float and type(plain) is int), f"{plain!r:.80} is no {kind.__name__}")
    return plain


def _converted(convert: Callable[[Any], Any], plain: Any) -> Any:
    try:
        return convert(plain)
    except (ValueError, TypeError) as error:
        raise PlainError(str(error)) from error


def _placed(read: Read, plain: Any, place: str) -> Any:
    try:
        return read(plain)
    except PlainError as error:
        raise error.within(place) from None


def _each(read: Read, plain: Any, name: str = "") -> list[Any]:
    _expect(isinstance(plain, list), f"{plain!r:.80} is no list")
    return [_placed(read, item, f"{name}[{number}]") for number, item in enumerate(plain)]


def _row(reads: list[Read], plain: Any) -> tuple[Any, ...]:
    _expect(isinstance(plain, list) and len(plain) == len(reads), f"{plain!r:.80} has not {len(reads)} parts")
    return tuple(
        _placed(read, item, f"[{number}]") for number, (read, item) in enumerate(zip(reads, plain, strict=True))
    )


def _expect(holds: bool, problem: str) -> None:  # noqa: FBT001  # it is the question itself
    if not holds:
        raise PlainError(problem)
