"""Durations, sizes and signals as people write them in jobs.toml."""

import re
import signal
from datetime import timedelta

LONGEST = timedelta(days=36_525)
"""A hundred years: a longer duration is a slip of the pen."""

_UNITS = {
    "w": ("w", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hour", "hours"),
    "m": ("m", "min", "minute", "minutes"),
    "s": ("s", "sec", "second", "seconds"),
    "ms": ("ms",),
}
_MICROSECONDS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1000,
}
_ORDER = tuple(_UNITS)
_BY_WORD = {word: unit for unit, words in _UNITS.items() for word in words}
_PART = re.compile(r"\s*([0-9]+)(\.[0-9]+)?\s*([A-Za-z]*)\s*", re.ASCII)
_SIZE = re.compile(r"([0-9]+)\s*([A-Za-z]*)", re.ASCII)
_SIZES = {"": 1, "B": 1, **{f"{letter}{end}": 1024**n for n, letter in enumerate("KMGT", 1) for end in ("", "iB")}}


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as ``"1h30m"`` or ``"2 weeks"`` says, exact to the microsecond.

    Raises:
        ValueError: it is not one; the message says which part and why.
    """
    if not text.isascii() or not text.strip():
        raise ValueError('expected digits and units, such as "90s", "5m", "1h30m"')
    total, last, at = 0, -1, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(f'"{text[at:].strip()}" is not a number with a unit')
        whole, fraction, word = part.groups()
        unit = _BY_WORD.get(word)
        if unit is None:
            raise ValueError(_unit_problem(whole + (fraction or ""), word))
        if _ORDER.index(unit) <= last:
            raise ValueError(f'"{word}" comes after a smaller or equal unit; write each unit once, larger ones first')
        last = _ORDER.index(unit)
        total += int(whole) * _MICROSECONDS[unit]
        if fraction is not None:
            scale = 10 ** (len(fraction) - 1)
            total += (int(fraction[1:]) * _MICROSECONDS[unit] * 2 + scale) // (2 * scale)
        at = part.end()
    if total > LONGEST // timedelta(microseconds=1):
        raise ValueError("longer than a hundred years")
    return timedelta(microseconds=total)


def _unit_problem(number: str, word: str) -> str:
    if not word:
        return f'the unit is missing behind {number}; write "{number}s", "{number}m" or "{number}h"'
    lower = _BY_WORD.get(word.lower())
    hint = f'; units are written in lower case: "{word.lower()}"' if lower else "; units are ms, s, m, h, d, w"
    return f'unknown unit "{word}"{hint}'


def format_duration(duration: timedelta) -> str:
    """Return a duration as people write it, in two parts at most: ``1h30m``, ``2d4h``, ``1.5s``, ``250ms``."""
    micro = duration // timedelta(microseconds=1)
    if micro < _MICROSECONDS["s"]:
        return f"{micro / 1000:g}ms" if micro else "0s"
    if micro < _MICROSECONDS["m"]:
        return f"{round(micro / 1_000_000, 1):g}s"
    rest, parts = round(micro / 1_000_000), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return "".join(parts[:2])


def parse_size(text: str) -> int:
    """Return the bytes that ``"512M"`` or ``"2GiB"`` says, 1024-based.

    Raises:
        ValueError: it is not a size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in _SIZES:
        raise ValueError('expected a number with K, M, G or T (1024-based), such as "512M" or "2GiB"')
    count: int = int(found[1]) * _SIZES[found[2]]
    return count


def parse_signal(text: str) -> int:
    """Return the number of a signal by its name, with or without ``SIG``.

    Raises:
        ValueError: there is no such signal.
    """
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    try:
        number = signal.Signals[name]
    except KeyError:
        raise ValueError('expected the name of a signal, such as "TERM" or "SIGUSR1"') from None
    return int(number)
