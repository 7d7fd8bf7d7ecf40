"""One file that output is appended to, its rotation, and the lines that a sick disk did not take.

Everything is written at once and nothing is kept back, so a file holds all that was read from the pipes but the slice
in hand. Not fsynced: it outlives every process, not a power cut.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable

NOBODY = 0
"""Stands for the writer of a line that will not be continued; pipes have other numbers."""


def stamp() -> bytes:
    """Return what stands before a line that is written now: ``2026-11-24T12:00:00.123Z`` and a blank."""
    second, millisecond = divmod(time.time_ns() // 1_000_000, 1000)
    return b"%b.%03dZ " % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode(), millisecond)


class File:
    """A path that any number of pipes write to. Lines of several pipes never share a line of the file.

    A line of one pipe that another pipe breaks into goes on as a line of its own.
    """

    def __init__(self, path: str, label: str, report: Callable[["File"], None]) -> None:
        """Take a path, open nothing yet; ``report`` is called whenever ``error`` or ``lost`` has changed."""
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
        self._fd: int | None = None
        self._size = 0
        self._line_of: int | None = None
        """Whose line the file ends in; None where it ends with a whole one."""
        self._is_regular = True

    def write(self, writer: int, text: bytes) -> None:
        """Append what came out of the pipe of this number; rotate between lines where the file gets too large."""
        mark = stamp() if self.timestamps else b""
        if self.lost and not self._said_loss():
            self._lose(text)
            return
        goes_on = self._line_of == writer
        if self._line_of is not None and not goes_on:
            self._append(NOBODY, b"\n")
        data = text.replace(b"\n", b"\n" + mark) if mark else text
        if mark and text.endswith(b"\n"):
            data = data[: -len(mark)]
        self._append_rotating(writer, data if goes_on else mark + data)

    def end(self, writer: int) -> None:
        """End the line that this pipe has left open, if it has: two runs never share a line."""
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

    def _append_rotating(self, writer: int, data: bytes) -> None:
        """Append as many whole lines as fit, rotate, and so on; a line larger than a file gets one of its own."""
        if self._fd is None:
            self._open()
        start = 0
        while self._is_regular and self._size + len(data) - start > self.max_size:
            room = max(0, self.max_size - self._size)
            cut = data.rfind(b"\n", start, start + room) + 1
            if not cut and (self._line_of is not None or not self._size):
                cut = data.find(b"\n", start) + 1 or len(data)
            if cut:
                self._append(writer, data[start:cut])
                start = cut
            if start == len(data):
                return
            if not self._rotate():
                break
        self._append(writer, data[start:] if start else data)

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
        """Open the path; one that ends within a line (a killed log process, a full disk) goes on in a new line."""
        self._size = 0
        self._line_of = None
        try:
            self._fd = _opened(self.path)
            found = os.fstat(self._fd)
            self._is_regular = stat.S_ISREG(found.st_mode)
            if self._is_regular and found.st_size:
                self._size = found.st_size
                self._line_of = None if os.pread(self._fd, 1, found.st_size - 1) == b"\n" else NOBODY
                if self._line_of is not None:
                    self._put(NOBODY, b"\n")
        except OSError as error:
            self.close()
            self._trouble(error.strerror or str(error))
            return False
        if self.error and not self.lost:
            self._heal()
        return True

    def _append(self, writer: int, data: bytes) -> None:
        written = self._put(writer, data)
        if written < len(data):
            self._lose(data[written:])

    def _put(self, writer: int, data: bytes) -> int:
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
        mark = stamp() if self.timestamps else b""
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


def _removed(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
