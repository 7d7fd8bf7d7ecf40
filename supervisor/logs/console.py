"""The jobs' lines on the terminal of ``run``: prefixed and coloured, never waited for.

A terminal that blocks (Ctrl-S) loses lines, and says afterwards how many; the files have them all. It is opened anew
with O_NONBLOCK, so the description that the shell and the supervisor share stays as it is.
"""

import os
import socket
import stat
from collections.abc import Callable

from supervisor.logs.pipe import Pipe


class Console:
    """Stdout, taken line by line from any number of pipes."""

    def __init__(self, fd: int, *, colour: bool) -> None:
        self.fd, self._write = _writer(fd)
        """What to wait on when ``is_blocked``."""
        self._is_gone = False
        self._can_wait = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._in_colour = colour and os.isatty(fd)
        self._width = 0
        self._pending = b""
        self._lost = 0

    @property
    def is_blocked(self) -> bool:
        """True while the rest of a line waits until it can be written."""
        return bool(self._pending) and self._can_wait

    def widen(self, label: str) -> None:
        """Make room for a label before the bar; all labels stand in one column."""
        self._width = max(self._width, len(label))

    def show(self, pipe: Pipe, lines: bytes) -> None:
        """Print whole lines."""
        prefix = self._prefix(pipe)
        self._print(prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n")

    def go_on(self) -> None:
        """Write the rest of the line that was cut when the console got full."""
        self._pending = self._pending[self._put(self._pending) :]

    def _prefix(self, pipe: Pipe) -> bytes:
        name = f"{pipe.file.label:<{self._width}} | "
        return (f"\033[{pipe.colour}m{name}\033[0m" if self._in_colour and pipe.colour else name).encode()

    def _print(self, lines: bytes) -> None:
        if self._pending:
            self.go_on()
        if not self._pending and self._lost:
            note = b"[jobvisor] %d lines did not fit here; the log files have them\n" % self._lost
            written = self._put(note)
            if written:
                self._lost = 0
                self._pending = note[written:]
        if self._pending or self._lost:
            self._lost += lines.count(b"\n")
            return
        written = self._put(lines)
        if written < len(lines):
            is_within = written and lines[written - 1] != ord("\n")
            end = lines.index(b"\n", written) + 1 if is_within else written
            self._pending = lines[written:end]
            self._lost = lines.count(b"\n", end)

    def _put(self, data: bytes) -> int:
        """Return how many bytes the console took; one that is gone takes all, and nobody sees them."""
        if self._is_gone:
            return len(data)
        try:
            return self._write(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._is_gone = True
            return len(data)


def _writer(fd: int) -> tuple[int, Callable[[bytes], int]]:
    """Return a descriptor of our own and what writes to it without ever waiting."""
    own = os.dup(fd)
    mode = os.fstat(own).st_mode
    if stat.S_ISSOCK(mode):
        peer = socket.socket(fileno=os.dup(fd))
        return own, lambda data: peer.send(data, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(mode) or os.isatty(own):
        try:
            anew = os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # a terminal of another user (su): there is no way but the shared description
            os.set_blocking(own, False)
            return own, lambda data: os.write(own, data)
        os.close(own)
        return anew, lambda data: os.write(anew, data)
    return own, lambda data: os.write(own, data)
