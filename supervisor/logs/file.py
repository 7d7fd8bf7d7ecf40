"""One file that output is appended to, its rotation, and the lines that a sick disk did not take.

Everything is written at once and nothing is kept back, so a file holds all that was read from the pipes but the slice
in hand. What is noted of that on the way (``ledger``) is enough for another process to finish it: when it came (AT),
how it joins what the file holds (JOINT), up to where it has been appended (DONE), and, before each piece is, up to
where that will be (UNTIL), to which file (INODE) and behind how many bytes of it (BEFORE). Not fsynced: it outlives
every process, not a power cut.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from supervisor.logs.ledger import AT, BEFORE, DONE, INODE, JOINT, UNTIL, Words

NOBODY = 0
"""Stands for the writer of a line that will not be continued; pipes have other numbers."""


_WHOLE, _GOES_ON, _BREAKS = 1, 2, 3
"""How text joins a file: behind a whole line, within its writer's own, or within that of another writer."""


def stamp(at: int) -> bytes:
    """Return what stands before a line of this millisecond after 1970: ``2026-11-24T12:00:00.123Z`` and a blank."""
    second, millisecond = divmod(at, 1000)
    return b"%b.%03dZ " % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode(), millisecond)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _laid_out(text: bytes, at: int, joint: int) -> tuple[bytes, int, int]:
    """Return what a file gets of a text, as bytes and the part of them; ``at`` is 0 where lines have no time."""
    if not at and joint != _BREAKS:
        return text, 0, len(text)
    mark = stamp(at) if at else b""
    data = (b"\n" + text).replace(b"\n", b"\n" + mark)
    end = len(data) - len(mark) if text.endswith(b"\n") else len(data)
    return data, {_BREAKS: 0, _WHOLE: 1, _GOES_ON: 1 + len(mark)}[joint], end


class File:
    """A path that any number of pipes write to. Lines of several pipes never share a line of the file.

    A line of one pipe that another pipe breaks into goes on as a line of its own.
    """

    def __init__(self, path: str, label: str, report: Callable[["File"], None], notes: Words | None = None) -> None:
        """Take a path, open nothing yet; ``report`` is called whenever ``error`` or ``lost`` has changed.

        ``notes`` are those of a ledger's entry; without them nobody goes on where this process was killed.
        """
        self.path = path
        self.label = label
        self.pipes = 0
        """How many pipes write here."""
        self.max_size = sys.maxsize
        self.keep = 0
        self.timestamps = True
        self.error: str | None = None
        """Why lines are being lost, or why the file cannot be rotated."""
        self.lost = 0
        """Lines lost since ``since``, a time of the wall clock."""
        self.since = 0.0
        self._report = report
        self._notes = [0] * (INODE + 1) if notes is None else notes
        self._claims: dict[tuple[int, int], int] = {}
        """Whose open line a file ends in that has this inode and size."""
        self._fd: int | None = None
        self._inode = 0
        self._size = 0
        self._line_of: int | None = None
        """Whose line the file ends in; None where it ends with a whole one."""
        self._is_regular = True

    def write(self, writer: int, text: bytes) -> None:
        """Append what came out of the pipe of this number; rotate between lines where the file gets too large."""
        if (self.lost and not self._said_loss()) or (self._fd is None and not self._open()):
            self._lose(text)
            return
        at = _now() if self.timestamps else 0
        joint = _WHOLE if self._line_of is None else _GOES_ON if self._line_of == writer else _BREAKS
        data, start, end = _laid_out(text, at, joint)
        notes = self._notes
        notes[AT] = at
        notes[INODE] = self._inode
        notes[DONE] = notes[UNTIL] = start
        notes[JOINT] = joint
        self._append_rotating(writer, data, start, end)

    def resume(self, writer: int, text: bytes) -> None:
        """Append what another process had in hand of a pipe, and may have appended, wholly or in part."""
        notes = self._notes
        if not notes[JOINT]:
            self.write(writer, text)
            return
        data, _, end = _laid_out(text, notes[AT], notes[JOINT])
        if notes[DONE] < notes[UNTIL]:
            self._finish(data)
        with suppress(FileNotFoundError):
            found = os.stat(self.path)
            if found.st_ino == notes[INODE]:
                self.claim(writer, found.st_ino, found.st_size)
        if self._open():
            self._append_rotating(writer, data, notes[DONE], end)
        else:
            self._lose(data[notes[DONE] : end])

    def claim(self, writer: int, inode: int, size: int) -> None:
        """Say whose line is open at the end of the file, if this is the file and its size when it is opened."""
        self._claims[inode, size] = writer

    def end_of(self, writer: int) -> tuple[int, int]:
        """Return inode and size of the file where it ends in this pipe's open line, else zeros."""
        return (self._inode, self._size) if self._line_of == writer else (0, 0)

    def end(self, writer: int) -> None:
        """End the line that this pipe has left open, if it has: two runs never share a line."""
        if writer in self._claims.values():
            self._open()
        if self._line_of == writer:
            self._append(NOBODY, b"\n")

    def reopen(self) -> None:
        """Go on in a new file where somebody has moved the open one away, as logrotate does."""
        if self._fd is None or self._is_in_place():
            return
        if self._line_of is not None:
            self._append(NOBODY, b"\n")
        self.close()
        self._open()

    def close(self) -> None:
        """Close the file; the next ``write`` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None

    # -- rotation ------------------------------------------------------------------------------------------------------

    def _append_rotating(self, writer: int, data: bytes, start: int, end: int) -> None:
        """Append as many whole lines as fit, rotate, and so on; a line larger than a file gets one of its own."""
        while self._is_regular and self._size + end - start > self.max_size:
            room = max(0, self.max_size - self._size)
            cut = data.rfind(b"\n", start, start + room) + 1
            if not cut and (self._line_of is not None or not self._size):
                cut = data.find(b"\n", start, end) + 1 or end
            if cut:
                self._append_piece(writer, data, start, cut)
                start = cut
            if start == end:
                return
            if not self._rotate():
                break
        if start < end:
            self._append_piece(writer, data, start, end)

    def _append_piece(self, writer: int, data: bytes, start: int, end: int) -> None:
        """Append a part of what is in hand; one that is begun and not noted as done, the file tells how far it got."""
        notes = self._notes
        if self._fd is not None or self._open():
            notes[INODE] = self._inode
            notes[BEFORE] = self._size
            notes[UNTIL] = end
        self._append(writer, memoryview(data)[start:end])
        notes[DONE] = end

    def _finish(self, data: bytes) -> None:
        """Append what is missing of a piece that another process had begun to append, whatever the file is called now.

        Where the file is gone, the piece is still to be written.
        """
        notes = self._notes
        path = _path_of(self.path, notes[INODE])
        if path is None:
            return
        piece = memoryview(data)[notes[DONE] : notes[UNTIL]]
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                piece = piece[_landed(fd, notes[BEFORE], piece) :]
                while piece:
                    piece = piece[os.write(fd, piece) :]
            finally:
                os.close(fd)
        except OSError as error:
            self._trouble(error.strerror or str(error))
            self._lose(bytes(piece))
        notes[DONE] = notes[UNTIL]

    def _rotate(self) -> bool:
        """Begin a new file; False where that cannot be done and the old one has to take more than it should."""
        try:
            if self._fd is not None and self._is_in_place():
                size = os.fstat(self._fd).st_size
                if size < self._size:  # truncated by somebody else
                    self._size = size
                    return True
                self._shift()
        except OSError as error:
            self._trouble(f"cannot rotate: {error.strerror}")
            return False
        self.close()
        self._open()
        return True

    def _shift(self) -> None:
        """Make room for a new file: NAME.1 becomes NAME.2 and so on, and what is older than ``keep`` goes."""
        over = self.keep + 1
        while _removed(f"{self.path}.{over}"):
            over += 1
        if not self.keep:
            os.unlink(self.path)
            return
        for number in range(self.keep - 1, 0, -1):
            if os.path.lexists(f"{self.path}.{number}"):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.rename(self.path, f"{self.path}.1")

    def _is_in_place(self) -> bool:
        """Tell whether the path still names the open file: another log process, or logrotate, may have moved it."""
        assert self._fd is not None
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    # -- the file ------------------------------------------------------------------------------------------------------

    def _open(self) -> bool:
        """Open the path; one that ends within a line that nobody goes on with (a full disk) goes on in a new line."""
        self._size = 0
        self._line_of = None
        claims, self._claims = self._claims, {}
        try:
            self._fd = _opened(self.path)
            found = os.fstat(self._fd)
            self._is_regular = stat.S_ISREG(found.st_mode)
            self._inode = found.st_ino
            if self._is_regular and found.st_size:
                self._size = found.st_size
                if os.pread(self._fd, 1, found.st_size - 1) != b"\n":
                    self._line_of = claims.get((found.st_ino, found.st_size), NOBODY)
                if self._line_of == NOBODY:
                    self._put(NOBODY, b"\n")
        except OSError as error:
            self.close()
            self._trouble(error.strerror or str(error))
            return False
        if self.error and not self.lost:
            self._heal()
        return True

    def _append(self, writer: int, data: bytes | memoryview) -> None:
        written = self._put(writer, data)
        if written < len(data):
            self._lose(bytes(data[written:]))

    def _put(self, writer: int, data: bytes | memoryview) -> int:
        """Write as much as the disk takes, and return how many bytes that was."""
        if self._fd is None and not self._open():
            return 0
        assert self._fd is not None
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            self._trouble(error.strerror or str(error))
        self._size += written
        if written:
            self._line_of = None if data[written - 1] == ord("\n") else writer
        if written < len(data) and self._line_of is not None:
            self._line_of = NOBODY
        return written

    # -- what a sick disk costs ----------------------------------------------------------------------------------------

    def _said_loss(self) -> bool:
        """Write into the file how much is missing there; True where the disk takes lines again."""
        torn = b"" if self._line_of is None else b"\n"
        mark = stamp(_now()) if self.timestamps else b""
        note = b"%b%b[jobvisor] %d lines lost here: %b\n" % (torn, mark, self.lost, (self.error or "").encode())
        if self._put(NOBODY, note) < len(note):
            return False
        self._heal()
        return True

    def _lose(self, data: bytes) -> None:
        self.lost += max(1, data.count(b"\n"))
        self._report(self)

    def _trouble(self, why: str) -> None:
        if self.error is None:
            self.since = time.time()
        if self.error != why:
            self.error = why
            self._report(self)

    def _heal(self) -> None:
        self.error = None
        self.lost = 0
        self._report(self)


def _opened(path: str) -> int:
    """Open a path for appending, its folder made where it is missing; a FIFO that nobody reads holds up nobody."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    return os.open(path, flags, 0o600)


def _path_of(path: str, inode: int) -> str | None:
    """Return what the file of this inode, once of this path, is called now: it may have been renamed in its folder."""
    with suppress(FileNotFoundError), os.scandir(os.path.dirname(path)) as entries:
        return next((each.path for each in entries if each.inode() == inode), None)
    return None


def _landed(fd: int, before: int, piece: memoryview) -> int:
    """Return how much of a piece a file has taken that was of this size before.

    Where that does not show by what stands behind it (somebody has truncated the file meanwhile, or before that without
    our notice), it has been taken if the file ends in it.
    """
    size = os.fstat(fd).st_size
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return 0
    grown = os.pread(fd, len(piece), before)
    if size >= before and piece[: len(grown)] == grown:
        return len(grown)
    return len(piece) if size >= len(piece) and os.pread(fd, len(piece), size - len(piece)) == piece else 0


def _removed(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
