"""Readers of what a job runs and what its process is given: targets, commands, arguments, variables, exits."""

import shlex
from typing import Any

from supervisor.core.exits import SuccessExit
from supervisor.core.manifest.readers import Fault, ReadError, Signal, refused
from supervisor.core.manifest.wording import Path, found, quoted
from supervisor.values import dataclass

_DEEPEST = 64
"""Levels of arguments: JSON carries them to the job's process, and it and ``==`` call themselves for each."""
_MOST_BITS = 63


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


@dataclass(frozen=True, slots=True)
class Target:
    """``package.module:name``."""

    def read(self, value: Any) -> str:
        """Return it as it is; whether it exists only an import tells."""
        if isinstance(value, str):
            module, colon, name = value.partition(":")
            if colon and _is_dotted(module) and _is_dotted(name):
                return value
        raise ReadError(
            Fault(f'found {found(value)}; expected "package.module:name", a function or a Worker class{_meant(value)}')
        )


def _meant(value: Any) -> str:
    """Return the target that a person may have meant, who wrote a dot for the colon, or the path of a file."""
    if not isinstance(value, str):
        return ""
    file, _, name = value.partition(":")
    module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
    if not name:
        module, _, name = module.rpartition(".")
    is_one = module and name and _is_dotted(module) and _is_dotted(name)
    return f'; did you mean "{module}:{name}"?' if is_one else ""


@dataclass(frozen=True, slots=True)
class Module:
    """The name of a module."""

    def read(self, value: Any) -> str:
        """Return it as it is."""
        if not isinstance(value, str) or not _is_dotted(value):
            raise refused(value, 'the name of a module, such as "package.module"')
        return value


@dataclass(frozen=True, slots=True)
class CommandLine:
    """An array of words, or one string that a shell would split, or run."""

    def read(self, value: Any) -> str | tuple[str, ...]:
        """Return the words as a tuple, a string as it is: ``shell`` decides whether it is split."""
        match value:
            case str() if "\0" in value:
                raise ReadError(Fault("a NUL character cannot stand in it"))
            case str() if value.strip():
                return value
            case [str(program), *_] if program:
                faults = [
                    Fault(f"found {found(word)}; expected a string without NUL characters", (index,))
                    for index, word in enumerate(value)
                    if not isinstance(word, str) or "\0" in word
                ]
                if faults:
                    raise ReadError(*faults)
                return tuple(value)
        raise refused(value, 'an array such as ["prog", "arg"], or one string')


def split(command: str) -> tuple[str, ...]:
    """Return the words of a command, split as a shell would.

    Raises:
        ReadError: it cannot be split, or names no program.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        text = f"{quoted(command)} cannot be split as a shell would: {str(error).lower()}"
        raise ReadError(Fault(text)) from None
    if not words or not words[0]:
        raise refused(command, "the name of a program first")
    return tuple(words)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What JSON can carry to a job's process: an array (``args``) or a table (``kwargs``)."""

    kind: type[list[Any]] | type[dict[str, Any]]

    def read(self, value: Any) -> Any:
        """Return a table as it is, an array as a tuple."""
        if not isinstance(value, self.kind):
            raise refused(value, "an array" if self.kind is list else "a table")
        faults = _unfit(value)
        if faults:
            raise ReadError(*faults)
        return tuple(value) if isinstance(value, list) else value


def _unfit(value: Any) -> list[Fault]:
    """Return what JSON cannot carry; walked with a list, as dotted keys nest deeper than Python may call itself."""
    faults: list[Fault] = []
    todo: list[tuple[Path, Any]] = [((), value)]
    while todo:
        path, each = todo.pop()
        match each:
            case dict() | list() if len(path) > _DEEPEST:
                faults.append(Fault(f"nested deeper than {_DEEPEST} levels", path[:3]))
            case dict():
                todo += (((*path, name), inner) for name, inner in each.items())
            case list():
                todo += (((*path, index), inner) for index, inner in enumerate(each))
            case bool() | str() | float():
                pass
            case int():
                if each.bit_length() > _MOST_BITS:
                    faults.append(Fault("a number of more than 64 bits", path))
            case _:
                faults.append(Fault(f"found {found(each)}; a date or time cannot be an argument, quote it", path))
    return faults


@dataclass(frozen=True, slots=True)
class Environment:
    """A table of environment variables."""

    def read(self, value: Any) -> dict[str, str]:
        """Return it. The values of variables are never shown: they may be secrets."""
        if not isinstance(value, dict):
            raise refused(value, "a table of strings")
        faults: list[Fault] = []
        for name, content in value.items():
            if not name or "=" in name or "\0" in name:
                faults.append(Fault("that cannot be the name of an environment variable", (name,)))
            if not isinstance(content, str):
                faults.append(Fault("found no string; put the value in quotes", (name,)))
            elif "\0" in content:
                faults.append(Fault("a NUL character cannot stand in it", (name,)))
        if faults:
            raise ReadError(*faults)
        return dict(value)


@dataclass(frozen=True, slots=True)
class Exits:
    """Exit codes and names of signals."""

    def read(self, value: Any) -> SuccessExit:
        """Return them apart."""
        if not isinstance(value, list):
            raise refused(value, 'an array of exit codes and signal names, such as [0, 75, "SIGTERM"]')
        codes: set[int] = set()
        signals: set[int] = set()
        faults: list[Fault] = []
        for index, each in enumerate(value):
            try:
                match each:
                    case bool():
                        raise refused(each, "an exit code from 0 to 255, or the name of a signal")
                    case int() if 0 <= each <= 255:
                        codes.add(each)
                    case str():
                        signals.add(Signal().read(each))
                    case _:
                        raise refused(each, "an exit code from 0 to 255, or the name of a signal")
            except ReadError as error:
                faults += (Fault(fault.text, (index,)) for fault in error.faults)
        if faults:
            raise ReadError(*faults)
        return SuccessExit(frozenset(codes), frozenset(signals))
