"""Reading the output of jobs back, for ``jobvisor logs``: the last lines, merged by time, and what comes after them.

Nothing here needs a supervisor. Lines of a file stand in the order in which they were written; several files are merged
by the times before their lines. A line without one counts as written when the line before it was, and those before the
first time when the file was last written to. ``since`` ends the reading of a file at the first line that is older.
"""

import heapq
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from supervisor.logs.names import STREAMS, Stream, file_name
from supervisor.logs.numbered import Numbered
from supervisor.logs.watch import Watch
from supervisor.values import dataclass

_BLOCK = 64 * 1024
_MOST = 1000
"""Files of one look, where the one that was followed is gone."""
_TICK = timedelta(milliseconds=10)
"""The time of a file is that of the kernel's last tick before it was written to (HZ of 100 and more)."""
_STAMP = len("2026-11-24T12:00:00.123Z ")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a job's output, its time apart from its text."""

    label: str
    at: datetime | None
    """When the log process had it; None where the job's log has no timestamps."""
    text: str
    stream: Stream = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which lines are wanted; both ends of the time are included, lines without a time are judged by their file's."""

    n: int | None = 10
    """The last so many of all jobs together; None is all."""
    since: datetime | None = None
    until: datetime | None = None
    grep: re.Pattern[str] | None = None

    def takes(self, line: Line, at: datetime) -> bool:
        """Tell whether a line that counts as written ``at`` is wanted."""
        if (self.since and at < self.since) or (self.until and at > self.until):
            return False
        return self.grep is None or self.grep.search(line.text) is not None


def labels(log_dir: Path) -> list[str]:
    """Return the jobs (``web``, ``web:2``) that have output here, sorted.

    Raises:
        PermissionError: this user may not look there.
    """
    try:
        names = os.listdir(log_dir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted({name.partition(".")[0] for name in names if ".log" in name})


def last(log_dir: Path, wanted: Sequence[str], wish: Wish) -> list[Line]:
    """Return the last wanted lines of these jobs, merged by time, oldest first."""
    with ExitStack() as opened:
        tracks = _tracks(log_dir, wanted)
        return _merged(tracks, [track.open_all(opened) for track in tracks], wish)


def follow(
    log_dir: Path,
    wanted: Sequence[str],
    wish: Wish,
    *,
    with_last: bool = False,
    is_over: Callable[[], bool] | None = None,
    look_every: float | None = 1.0,
) -> Iterator[Line]:
    """Yield each line as it is written, over rotations; ``with_last``: after the last ones, without a gap between.

    Ends when ``is_over`` says so, once more is then read; it is asked after each change and every ``look_every``
    seconds, as the kernel may drop notices of changes (inotify(7), IN_Q_OVERFLOW). Lines of several jobs that come
    together are merged by time, others come as they are written.
    """
    with ExitStack() as opened:
        watch = opened.enter_context(Watch(log_dir))
        tracks = _tracks(log_dir, wanted)
        for track in tracks:
            opened.callback(track.close)
        with ExitStack() as histories:
            found = [track.open_all(histories, follow=True) for track in tracks]
            if with_last:
                yield from _merged(tracks, found, wish)
        while True:
            is_last = is_over is not None and is_over()
            fresh = heapq.merge(*(track.fresh() for track in tracks), key=_time)
            yield from (line for line, at in fresh if wish.takes(line, at))
            if is_last:
                return
            watch.wait(look_every)


@dataclass(slots=True)
class Opened:
    """A file of a track, and how much of it there was when it was opened: whole lines, or all of a rotated file."""

    file: BinaryIO
    end: int
    written_at: datetime


class Track:
    """One stream of one job: NAME.log, and NAME.log.1 and so on before it."""

    def __init__(self, log_dir: Path, label: str, stream: Stream) -> None:
        self.label = label
        self.stream = stream
        self._files = Numbered(log_dir / file_name(label, stream))
        self._file: BinaryIO | None = None
        self._number = 0
        """Where the file that is followed stood last; a rotation moves it up."""
        self._position = 0
        self._latest: datetime | None = None

    def open_all(self, stack: ExitStack, *, follow: bool = False) -> list[Opened]:
        """Return the files, youngest first; with ``follow`` remember where the youngest ends for ``fresh``."""
        found: list[Opened] = []
        for file in self._files.youngest_first():
            stack.callback(file.close)
            status = os.fstat(file.fileno())
            end = status.st_size
            if follow and not found:
                end = self._position = _end_of_lines(file, end)
                self._file = os.fdopen(os.dup(file.fileno()), "rb", buffering=0)
            found.append(Opened(file, end, datetime.fromtimestamp(status.st_mtime, UTC)))
        return found

    def lines_backwards(self, found: Sequence[Opened], wish: Wish) -> Iterator[tuple[Line, datetime]]:
        """Yield the wanted lines, youngest first, each with the time that it counts as written at."""
        for opened in found:
            written_at = opened.written_at
            if wish.since and written_at < wish.since:
                if written_at + _TICK < wish.since:
                    return
                written_at = wish.since
            untimed: list[Line] = []
            for raw in _backwards(opened.file, opened.end):
                line = self._line(raw)
                if line.at is None:
                    untimed.append(line)
                    continue
                for written in (*untimed, line):
                    if wish.takes(written, line.at):
                        yield written, line.at
                untimed.clear()
                if wish.since and line.at < wish.since:
                    return
            for written in untimed:
                if wish.takes(written, written_at):
                    yield written, written_at

    def fresh(self) -> Iterator[tuple[Line, datetime]]:
        """Yield the lines that were written since the last look, over any number of rotations."""
        for file, start in self._unread():
            for raw, position in _forwards(file, start):
                line = self._line(raw)
                self._latest = line.at or self._latest or datetime.now(UTC)
                self._position = position
                yield line, self._latest

    def close(self) -> None:
        """Close the file that is being followed."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _unread(self) -> Iterator[tuple[BinaryIO, int]]:
        """Yield the files that may hold fresh lines, oldest first, each from where it is unread.

        A file is complete once there is a younger one. Those that come meanwhile are left for the next look: other
        jobs have their turn.
        """
        if self._file is None:
            self._number, self._file = self._files.oldest()
        last = self._files.number_of(self._file, self._number) if self._file is not None else None
        for _ in range((last or 0) + 1 if last is not None else _MOST):
            if self._file is None:
                return
            self._number, younger = self._files.younger(self._file, self._number)
            if younger is None and os.fstat(self._file.fileno()).st_size < self._position:
                self._position = 0  # truncated, as logrotate's copytruncate does
            yield self._file, self._position
            if younger is None:
                return
            self.close()
            self._file, self._position = younger, 0

    def _line(self, raw: bytes) -> Line:
        if raw[10:11] == b"T" and raw[_STAMP - 2 : _STAMP] == b"Z ":
            try:
                at = datetime.fromisoformat(raw[: _STAMP - 1].decode())
            except ValueError:
                pass
            else:
                return Line(self.label, at, raw[_STAMP:].decode(errors="replace"), self.stream)
        return Line(self.label, None, raw.decode(errors="replace"), self.stream)


def _time(timed: tuple[Line, datetime]) -> datetime:
    return timed[1]


def _tracks(log_dir: Path, wanted: Sequence[str]) -> list[Track]:
    return [Track(log_dir, label, stream) for label in wanted for stream in STREAMS]


def _merged(tracks: Sequence[Track], histories: Sequence[Sequence[Opened]], wish: Wish) -> list[Line]:
    """Return the last wanted lines of all tracks; of each no more is read than can be among them."""
    newest = [
        [*islice(track.lines_backwards(found, wish), wish.n)][::-1]
        for track, found in zip(tracks, histories, strict=True)
    ]
    merged = (line for line, _ in heapq.merge(*newest, key=_time))
    return list(deque(merged, maxlen=wish.n))


def _end_of_lines(file: BinaryIO, size: int) -> int:
    """Return where the last whole line of a file ends; what stands behind it is still being written."""
    at = size
    while at:
        start = max(0, at - _BLOCK)
        newline = os.pread(file.fileno(), at - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        at = start
    return 0


def _backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the lines before a place of a file, last first, without their newlines."""
    if not end:
        return
    at = end - (os.pread(file.fileno(), 1, end - 1) == b"\n")
    rest = b""
    while at:
        start = max(0, at - _BLOCK)
        rest, *lines = (os.pread(file.fileno(), at - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        at = start
    yield rest


def _forwards(file: BinaryIO, start: int) -> Iterator[tuple[bytes, int]]:
    """Yield the whole lines from a place of a file on, each with the place behind it."""
    rest = b""
    at = start
    while block := os.pread(file.fileno(), _BLOCK, at + len(rest)):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            at += len(line) + 1
            yield line, at
