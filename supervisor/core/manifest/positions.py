"""On which line of a TOML text a key stands; ``tomllib`` tells none.

The text must be one that ``tomllib`` has read: of valid TOML it is enough to know strings, comments, brackets and
commas apart to find every key, those of inline tables and the elements of arrays included.
"""

import re
from collections.abc import Iterator

from supervisor.core.manifest.wording import Path

_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\r]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<long>\"{3}(?:[^\\]|\\.)*?\"{3,5}(?!\")|'{3}.*?'{3,5}(?!'))
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
    | (?P<mark>[][{}=,.])
    | (?P<word>[^][{}=,.\s\#"']+)
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}
_Token = tuple[str, str, int]
"""What it is (the mark itself, or ``string``, ``word``, ``newline``, ``end``), its text, its line."""


class Positions:
    """The lines of one text's keys; found out at the first question."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Path, int] | None = None
        self._around: dict[Path, int] = {}

    def line_of(self, path: Path) -> int:
        """Return the line (from 1) of what stands at a path, else of the nearest table or array around it, else 1."""
        if self._lines is None:
            self._lines = self._found()
        for depth in range(len(path), 0, -1):
            part = path[:depth]
            line = self._lines.get(part) or self._around.get(part)
            if line is not None:
                return line
        return 1

    def _found(self) -> dict[Path, int]:
        lines: dict[Path, int] = {}
        for path, line in _Scan(self._text).found():
            lines.setdefault(path, line)
            while len(path) > 1:
                path = path[:-1]  # noqa: PLW2901  # a table is also where the first of its keys is
                if self._around.setdefault(path, line) != line:
                    break
        return lines


class _Scan:
    """One walk over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at: _Token = next(self._tokens)
        self._counts: dict[Path, int] = {}

    def found(self) -> Iterator[tuple[Path, int]]:
        """Yield each key, table and element with its line."""
        table: Path = ()
        while self._at[0] != "end":
            if self._at[0] == "newline":
                self._take()
            elif self._at[0] == "[":
                line = self._at[2]
                is_array = self._header_opens()
                table = self._within(self._key())
                if is_array:
                    table = self._next_of(table)
                    self._take()
                self._take()
                yield table, line
            else:
                yield from self._pair(table)

    def _take(self) -> _Token:
        taken, self._at = self._at, next(self._tokens, ("end", "", 0))
        return taken

    def _header_opens(self) -> bool:
        self._take()
        if self._at[0] != "[":
            return False
        self._take()
        return True

    def _within(self, path: Path) -> Path:
        """Return a header's path with the index of each array of tables on the way: that of its last element."""
        whole: Path = ()
        for depth, part in enumerate(path, 1):
            whole = (*whole, part)
            if depth < len(path) and whole in self._counts:
                whole = (*whole, self._counts[whole] - 1)
        return whole

    def _next_of(self, array: Path) -> Path:
        count = self._counts.get(array, 0)
        self._counts[array] = count + 1
        return (*array, count)

    def _key(self) -> Path:
        parts: list[str] = []
        while self._at[0] in {"word", "string", "."}:
            what, text, _ = self._take()
            if what != ".":
                parts.append(_unquoted(text) if what == "string" else text)
        return tuple(parts)

    def _pair(self, table: Path) -> Iterator[tuple[Path, int]]:
        line = self._at[2]
        path = (*table, *self._key())
        yield path, line
        self._take()  # =
        yield from self._value(path)

    def _value(self, path: Path) -> Iterator[tuple[Path, int]]:
        """Walk over one value, however deep: the open brackets are kept in a list, not in calls."""
        open_in: list[tuple[str, Path, int]] = []
        while True:
            self._skip_lines(inside=bool(open_in))
            what = self._at[0]
            if what in {"[", "{"}:
                self._take()
                open_in.append((what, path, 0))
            elif what in {"]", "}"}:
                self._take()
                open_in.pop()
            else:
                while self._at[0] in {"word", "string", "."}:
                    self._take()
            if not open_in or self._at[0] == "end":
                return
            self._skip_lines(inside=True)
            bracket, around, index = open_in[-1]
            if self._at[0] == ",":
                self._take()
                index += 1
                open_in[-1] = (bracket, around, index)
                self._skip_lines(inside=True)
            if self._at[0] in {"]", "}"}:
                continue
            line = self._at[2]
            if bracket == "{":
                path = (*around, *self._key())
                self._take()  # =
            else:
                path = (*around, index)
            yield path, line

    def _skip_lines(self, *, inside: bool) -> None:
        while inside and self._at[0] == "newline":
            self._take()


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        what = found.lastgroup or ""
        if what == "blank":
            continue
        token = found[0]
        yield (token if what == "mark" else "string" if what == "long" else what), token, line
        if what == "newline":
            line += 1
        elif what == "long":
            line += token.count("\n")
    yield "end", "", line


def _unquoted(text: str) -> str:
    """Return what a quoted key says."""
    return text[1:-1] if text[0] == "'" else _ESCAPE.sub(_character, text[1:-1])


def _character(escape: re.Match[str]) -> str:
    short, long, letter = escape.groups()
    return chr(int(short or long, 16)) if short or long else _ESCAPED.get(letter, letter)
