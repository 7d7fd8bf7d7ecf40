"""Durations, sizes and signals as people write them in jobs.toml and on the command line."""

import re
import signal
from datetime import timedelta

LONGEST = timedelta(days=36_525)
"""A hundred years: a longer duration is a slip of the pen."""
LARGEST = 2**63 - 1
"""Bytes: what the kernel counts in."""

UNITS = {
    "w": ("w", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hour", "hours"),
    "m": ("m", "min", "minute", "minutes"),
    "s": ("s", "sec", "second", "seconds"),
    "ms": ("ms",),
}
"""The words of each unit, largest unit first."""
_MICROSECONDS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1000,
}
_ORDER = tuple(UNITS)
_BY_WORD = {word: unit for unit, words in UNITS.items() for word in words}
_PART = re.compile(r"[ \t]*([0-9]+)(\.[0-9]+)?[ \t]*([A-Za-z]*)[ \t]*")
_SIZE = re.compile(r"[ \t]*([0-9]{1,19})[ \t]*([A-Za-z]*)[ \t]*")
SIZES = {"": 1, "B": 1, **{f"{letter}{end}": 1024**n for n, letter in enumerate("KMGT", 1) for end in ("", "iB")}}
"""Bytes of each unit; the empty one is bytes too."""
_REAL_TIME = re.compile(r"SIGRT(MIN\+|MAX-)([0-9]{1,2})")
_MOST_CHARACTERS = 100
_EXAMPLES = 'expected e.g. "90s", "5m", "1h30m"'


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as ``"1h30m"`` or ``"2 weeks"`` says, exact to the microsecond.

    Parts stand in falling order, each unit once; a day is 24 hours. At most a hundred years; may be zero.

    Raises:
        ValueError: it is not one; the message says why, the text itself is left to the caller.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"longer than {_MOST_CHARACTERS} characters; {_EXAMPLES}")
    total, last, at = 0, -1, 0
    while at < len(text) or not at:
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(_no_part(text[at:].strip(" \t")))
        whole, fraction, word = part.groups()
        unit = _BY_WORD.get(word)
        if unit is None:
            raise ValueError(_unit_problem(whole + (fraction or ""), word, text[part.end() :]))
        if _ORDER.index(unit) <= last:
            raise ValueError(f'"{word}" comes behind a smaller or the same unit; {_EXAMPLES}')
        last = _ORDER.index(unit)
        total += int(whole) * _MICROSECONDS[unit] + _rounded(fraction, _MICROSECONDS[unit])
        at = part.end()
    if total > LONGEST // timedelta(microseconds=1):
        raise ValueError("longer than a hundred years")
    return timedelta(microseconds=total)


def _rounded(fraction: str | None, unit: int) -> int:
    """Return ``.digits`` of a unit in microseconds, rounded half up without the errors of floats."""
    if fraction is None:
        return 0
    scale = 10 ** (len(fraction) - 1)
    rounded: int = (int(fraction[1:]) * unit * 2 + scale) // (2 * scale)
    return rounded


def _no_part(rest: str) -> str:
    if not rest:
        return f"it is empty; {_EXAMPLES}"
    if rest[0] in "+-":
        return f"a duration has no sign; {_EXAMPLES}"
    return f"a number is missing before {ascii(rest)[1:-1]}; {_EXAMPLES}"


def _unit_problem(number: str, word: str, rest: str) -> str:
    if not word:
        if rest:
            return f"{ascii(rest)[1:-1]} behind {number} is no unit; {_EXAMPLES}"
        return f'the unit is missing; write "{number}s", "{number}m" or "{number}h"'
    lower = word.lower()
    if lower in {"mo", "mon", "month", "months", "y", "yr", "year", "years"}:
        return f'unknown unit "{word}": months and years differ in length; write days or weeks'
    nearest = max((known for known in _BY_WORD if lower.startswith(known)), key=len, default="")
    hint = f'; did you mean "{nearest}"?' if nearest == lower or len(nearest) > 1 else ""
    return f'unknown unit "{word}"; {_EXAMPLES}{hint}'


def format_duration(duration: timedelta) -> str:
    """Return a duration as people write it, in two parts at most: ``1h30m``, ``2d4h``, ``1.5s``, ``250ms``."""
    micro = duration // timedelta(microseconds=1)
    if micro < 0:
        return f"-{format_duration(-duration)}"
    if micro < 999_500:
        return f"{micro / 1000:.3g}ms" if micro else "0s"
    if micro < 59_950_000:
        return f"{round(micro / 1_000_000, 1):g}s"
    rest, parts = round(micro / 1_000_000), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return "".join(parts[:2])


def spell_duration(duration: timedelta) -> str:
    """Return a duration, not negative, as jobs.toml would say it, exact to the microsecond: ``1d12h``, ``1.5ms``."""
    rest = duration // timedelta(microseconds=1)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "ms")
    return "".join(parts) or "0s"


def spell_size(count: int) -> str:
    """Return bytes as jobs.toml would say them, exact: ``10M``, ``1025B``, ``0``."""
    for letter in "TGMK":
        if count and count % SIZES[letter] == 0:
            return f"{count // SIZES[letter]}{letter}"
    return f"{count}B" if count else "0"


def parse_size(text: str) -> int:
    """Return the bytes that ``"512M"`` or ``"2GiB"`` says, 1024-based.

    Raises:
        ValueError: it is not a size; the message says why, the text itself is left to the caller.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError('expected a whole number with K, M, G or T (1024-based), e.g. "512M", "2GiB"')
    number, unit = found.groups()
    if unit not in SIZES:
        known = next((known for known in (unit.upper(), f"{unit.upper()[:-1]}iB") if known in SIZES), None)
        hint = f'; did you mean "{number}{known}"?' if known else ""
        raise ValueError(f'unknown unit "{unit}"; expected K, M, G or T (1024-based), e.g. "512M", "2GiB"{hint}')
    count: int = int(number) * SIZES[unit]
    if count > LARGEST:
        raise ValueError("more bytes than fit into 64 bits")
    return count


def parse_signal(text: str) -> int:
    """Return the number of a signal by its name, with or without ``SIG``; real-time ones are ``RTMIN+7``, ``RTMAX-1``.

    Raises:
        ValueError: there is no such signal; the text itself is left to the caller.
    """
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    real_time = _REAL_TIME.fullmatch(name)
    if real_time is not None:
        steps = int(real_time[2])
        number = signal.SIGRTMIN + steps if real_time[1] == "MIN+" else signal.SIGRTMAX - steps
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return int(number)
    elif name in signal.Signals.__members__:
        return int(signal.Signals[name])
    raise ValueError('expected the name of a signal, e.g. "TERM", "SIGUSR1"')
