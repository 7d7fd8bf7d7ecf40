"""Reading output back: the last lines of several jobs merged by time, and following them across rotation.

A follower is a client, not the supervisor: it looks at its files four times a second.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from io import BufferedReader
from pathlib import Path

PAUSE = 0.25
BLOCK = 64 * 1024
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a job's output; ``at`` is None where the file has no times."""

    label: str
    at: datetime | None
    text: str
    stream: str = "out"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines are wanted."""

    n: int = 10
    since: datetime | None = None
    grep: re.Pattern[str] | None = None

    def takes(self, line: Line) -> bool:
        """Tell whether a line is one of them."""
        if self.since is not None and line.at is not None and line.at < self.since:
            return False
        return self.grep is None or self.grep.search(line.text) is not None


def labels(log_dir: Path) -> list[str]:
    """Return the jobs that have output, sorted."""
    names = {path.name.partition(".")[0] for path in log_dir.glob("*.log*")}
    return sorted(names)


def last(log_dir: Path, wanted: Sequence[str], wish: Wish) -> list[Line]:
    """Return the last ``n`` wanted lines of some jobs, merged by time."""
    found = [_last_of(path, label, stream, wish) for label in wanted for path, stream in _files(log_dir, label)]
    lines = list(merge(*found, key=_time))
    return lines[-wish.n :] if wish.n else []


def follow(log_dir: Path, wanted: Sequence[str], wish: Wish) -> Iterator[Line]:
    """Yield the lines that are written from now on, for ever."""
    followed = [_Followed(path, label, stream) for label in wanted for path, stream in _files(log_dir, label)]
    while True:
        fresh = [line for file in followed for line in file.fresh() if wish.takes(line)]
        yield from sorted(fresh, key=_time)
        if not fresh:
            time.sleep(PAUSE)


def _files(log_dir: Path, label: str) -> list[tuple[Path, str]]:
    return [(log_dir / f"{label}.log", "out"), (log_dir / f"{label}.err.log", "err")]


def _time(line: Line) -> float:
    return line.at.timestamp() if line.at is not None else 0.0


def _last_of(path: Path, label: str, stream: str, wish: Wish) -> list[Line]:
    """Return the last wanted lines of a file and those it was rotated from, oldest first."""
    found: list[Line] = []
    for each in _generations(path):
        older = [line for text in _backwards(each) if wish.takes(line := _parsed(text, label, stream))]
        found += older[: wish.n - len(found)]
        if len(found) >= wish.n:
            break
    return found[::-1]


def _generations(path: Path) -> Iterator[Path]:
    """Yield a file and those it was rotated from, newest first."""
    yield path
    number = 1
    while (older := path.with_name(f"{path.name}.{number}")).exists():
        yield older
        number += 1


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from its end."""
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        at = file.seek(0, os.SEEK_END)
        rest = b""
        while at:
            step = min(BLOCK, at)
            at -= step
            file.seek(at)
            pieces = (file.read(step) + rest).split(b"\n")
            rest = pieces[0]
            yield from (piece for piece in pieces[:0:-1] if piece)
        if rest:
            yield rest


def _parsed(text: bytes, label: str, stream: str) -> Line:
    stamp = _STAMP.match(text)
    at = datetime.fromisoformat(stamp[1].decode()) if stamp else None
    return Line(label, at, text[stamp.end() if stamp else 0 :].decode(errors="backslashreplace"), stream)


class _Followed:
    """A file from where it ended; one that is rotated away is read to its end before the new one."""

    def __init__(self, path: Path, label: str, stream: str) -> None:
        self._path = path
        self._label = label
        self._stream = stream
        self._file = self._opened()
        self._rest = b""
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def fresh(self) -> Iterator[Line]:
        """Yield what has been written since the last time."""
        yield from self._read()
        if self._is_rotated():
            yield from self._read()
            if self._file is not None:
                self._file.close()
            self._file = self._opened()
            yield from self._read()

    def _opened(self) -> BufferedReader | None:
        try:
            return self._path.open("rb")
        except OSError:
            return None

    def _is_rotated(self) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return False
        return self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno()))

    def _read(self) -> Iterator[Line]:
        if self._file is None:
            return
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        for text in whole:
            yield _parsed(text, self._label, self._stream)
