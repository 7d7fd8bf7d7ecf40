"""Unit files of systemd as text (systemd.syntax(7)), and the values in them (systemd.time(7), systemd.exec(5))."""

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta

from supervisor.values import dataclass, field

_UNITS = {
    **dict.fromkeys(("usec", "us", "µs", "μs"), 1),  # both letters that systemd takes
    **dict.fromkeys(("msec", "ms"), 1000),
    **dict.fromkeys(("seconds", "second", "sec", "s", ""), 1_000_000),
    **dict.fromkeys(("minutes", "minute", "min", "m"), 60_000_000),
    **dict.fromkeys(("hours", "hour", "hr", "h"), 3_600_000_000),
    **dict.fromkeys(("days", "day", "d"), 86_400_000_000),
    **dict.fromkeys(("weeks", "week", "w"), 604_800_000_000),
    **dict.fromkeys(("months", "month", "M"), 2_629_800_000_000),
    **dict.fromkeys(("years", "year", "y"), 31_557_600_000_000),
}
_SPAN_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµμ]*)\s*")  # as above
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?![A-Za-z0-9_]))")


@dataclass(slots=True)
class Unit:
    """The settings of one unit, by section and name, each with all its values in their order."""

    name: str
    """Without its suffix."""
    sections: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    """The specifiers, by setting, that stand as they were written: only the machine knows them."""

    def take(self, section: str, key: str) -> str | None:
        """Return the last value of a setting, which then counts as read; None where it is not set."""
        values = self.take_all(section, key)
        return values[-1] if values else None

    def take_all(self, section: str, key: str) -> list[str]:
        """Return all values of a setting, which then counts as read."""
        return self.sections.get(section, {}).pop(key, [])

    def copy(self) -> "Unit":
        """Return one of which nothing that is read now counts as read in this one."""
        return Unit(self.name, {name: dict(settings) for name, settings in self.sections.items()}, self.unknown)

    def left(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield section, name and values of each setting that nobody has read."""
        for section, settings in self.sections.items():
            for key, values in settings.items():
                if values:
                    yield section, key, values


def parse_unit(name: str, text: str) -> Unit:
    """Return the unit of a file's text; an empty value resets a list, as systemd has it."""
    unit = Unit(name.rpartition(".")[0])
    section: dict[str, list[str]] = {}
    for line in _logical_lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = unit.sections.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if equals:
            values = section.setdefault(key.strip(), [])
            if value.strip():
                text, unknown = _specified(unit.name, value.strip())
                values.append(text)
                if unknown:
                    unit.unknown[key.strip()] = [*unit.unknown.get(key.strip(), []), *unknown]
            else:
                values.clear()
    return unit


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines without comments; one that ends with a backslash goes on in the next."""
    held = ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(("#", ";")) or (not bare and not held):
            continue
        if bare.endswith("\\"):
            held += bare[:-1] + " "
            continue
        yield (held + bare).strip()
        held = ""
    if held:
        yield held.strip()


def _specified(name: str, value: str) -> tuple[str, list[str]]:
    """Return a value with the specifiers in it that are the same on every machine, and the others."""
    prefix, at, instance = name.partition("@")
    known = {
        "%": "%",
        "n": f"{name}.service",
        "N": name,
        "p": prefix,
        "i": instance if at else "",
        "I": instance if at else "",
        "t": "/run",
        "S": "/var/lib",
        "C": "/var/cache",
        "L": "/var/log",
        "E": "/etc",
        "T": "/tmp",  # noqa: S108  # as systemd.unit(5) has it
        "V": "/var/tmp",  # noqa: S108  # as systemd.unit(5) has them
    }
    text = re.sub(r"%(.)", lambda found: known.get(found[1], found[0]), value)
    return text, [f"%{each}" for each in re.findall(r"%(.)", value) if each.isalpha() and each not in known]


def parse_span(text: str) -> timedelta | None:
    """Return a time span such as ``1min 30s``, a bare number in seconds; None for ``infinity``.

    Raises:
        ValueError: it is none.
    """
    if text == "infinity":
        return None
    total, at = 0.0, 0
    while at < len(text):
        part = _SPAN_PART.match(text, at)
        if part is None or part[2] not in _UNITS:
            raise ValueError(f'"{text}" is no time span')
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return timedelta(microseconds=round(total))


def words(line: str) -> list[str]:
    """Return the words of a line, unquoted as systemd does; one that does not close its quotes is split at blanks."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def for_shell(line: str) -> str:
    """Return a command line with variables as a shell has to read it to do what systemd does.

    ``$NAME`` as a word of its own is split at blanks, ``${NAME}`` anywhere is not; ``$$`` is a dollar sign.
    """
    return " ".join(_for_shell(word) for word in words(line))


def _for_shell(word: str) -> str:
    alone = _VARIABLE.fullmatch(word)
    if alone and alone[2]:
        return f"${alone[2]}"
    parts, at = list[str](), 0
    for found in _VARIABLE.finditer(word):
        if not found[1] or word[: found.start()].endswith("$"):
            continue
        parts += [_quoted(word[at : found.start()]), f'"${{{found[1]}}}"']
        at = found.end()
    return "".join([*parts, _quoted(word[at:])]) or "''"


def _quoted(text: str) -> str:
    return shlex.quote(text.replace("$$", "$")) if text else ""
