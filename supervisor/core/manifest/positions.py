"""On which line of a TOML text a key stands: asked when there is an error to show, as ``tomllib`` keeps none."""

import re
from collections.abc import Iterator

_HEADER = re.compile(r"\s*\[\[?\s*(?P<path>.*?)\s*\]\]?\s*(#.*)?$")
_KEY_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL)


def line_of(text: str, path: tuple[str, ...]) -> int:
    """Return the line (from 1) of the key with this path, else of the nearest table around it, else 1."""
    best, best_depth, first_inside = 1, 0, 0
    for line, found in _positions(text):
        depth = _common(found, path)
        if depth == len(path):
            if len(found) == depth:
                return line
            first_inside = first_inside or line
        if depth == len(found) and depth > best_depth:
            best, best_depth = line, depth
    return first_inside or best


def _common(found: tuple[str, ...], path: tuple[str, ...]) -> int:
    depth = 0
    for one, other in zip(found, path, strict=False):
        if one != other:
            break
        depth += 1
    return depth


def _positions(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each key with its line, inline tables included."""
    table: tuple[str, ...] = ()
    blanked = _STRING.sub(_blanked_string, text)
    at, line = 0, 1
    lines, plain = text.split("\n"), blanked.split("\n")
    depth = 0
    while at < len(plain):
        bare, line = plain[at], at + 1
        header = _HEADER.match(lines[at]) if depth == 0 and bare.lstrip().startswith("[") else None
        if header:
            table = _path(header["path"])
            yield line, table
        elif depth == 0 and "=" in bare:
            own = (*table, *_path(_left_of_equals(lines[at], bare)))
            yield line, own
            yield from _inline(lines, plain, at, own)
        if not header:
            depth = max(0, depth + sum(bare.count(mark) for mark in "[{") - sum(bare.count(mark) for mark in "]}"))
        at += 1


def _left_of_equals(line: str, bare: str) -> str:
    return line[: bare.index("=")]


def _inline(lines: list[str], plain: list[str], at: int, own: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the keys of an inline table that begins on a line, over the lines it takes."""
    bare = plain[at]
    rest = bare[bare.index("=") + 1 :].lstrip()
    if not rest.startswith("{"):
        return
    for key in re.finditer(r"[{,]\s*([^{},=\[\]]+?)\s*=", bare):
        yield at + 1, (*own, *_path(lines[at][key.start(1) : key.end(1)]))


def _path(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, quotes taken off."""
    parts: list[str] = []
    at = 0
    while (part := _KEY_PART.match(text, at)) is not None:
        parts.append(next(group for group in part.groups() if group is not None))
        at = part.end()
        if at >= len(text) or text[at] != ".":
            break
        at += 1
    return tuple(parts)


def _blanked_string(found: re.Match[str]) -> str:
    """Return a string or comment with everything in it blanked but its line ends, so that positions stay."""
    return re.sub(r"[^\n]", " ", found[0])
