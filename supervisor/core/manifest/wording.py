"""How problems name what they are about: values, keys and the nearest known word."""

import json
import re
from functools import lru_cache
from typing import Any

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys of tables and indices of arrays."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 60
"""Characters of a value that are shown."""


def found(value: Any) -> str:
    """Return a value as a problem shows it: ``"5x"``, ``true``, ``a table``."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() if value.bit_length() > 64:
            return "a number of more than 64 bits"
        case int() | float():
            return str(value)
        case dict():
            return "a table"
        case list():
            return "an array"
    return str(value)


def quoted(text: str) -> str:
    """Return a text in quotes, on one line and harmless to a terminal; of a long one the beginning."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return '"' + "".join(each if each.isprintable() and each not in '"\\' else _escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


@lru_cache(maxsize=1024)
def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known word that is most like this one, or None where none is."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for a manifest with mistakes

    from supervisor.core.manifest.elsewhere import ELSEWHERE  # noqa: PLC0415  # as above

    if ELSEWHERE.get(word.lower()) in known:
        return ELSEWHERE[word.lower()]
    return next(iter(get_close_matches(word, known, n=1)), None)


def near(word: str, known: tuple[str, ...]) -> str:
    """Return ``; did you mean "…"?`` for the nearest known word, or nothing."""
    meant = nearest(word, known)
    return f'; did you mean "{meant}"?' if meant else ""


def dotted(path: Path) -> str:
    """Return a path as TOML writes it: ``jobs.backup.every``, ``jobs."a b"``, ``supervisor.preload[1]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else quoted(part))
    return text
