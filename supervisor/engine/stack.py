"""The stacks of a living Python job: asked for by a signal, written by its own faulthandler, read from a pipe.

The fork server has registered the signal's handler, so every Python job has it; the write end of the pipe is a job's
descriptor ``STACK_FD``. A program that was exec'd has lost the handler and would die of the signal, and a job that has
closed all its descriptors may write its own files by that number: the signal is sent only while the kernel says that it
is caught (SigCgt, proc(5)) and that the descriptor is the pipe.
"""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable

from supervisor.engine.agreed import STACK_FD, STACK_SIGNAL

NONE = "no stack: signal blocked"
SILENCE = 0.1
"""Seconds without a further line after which a dump is over."""
LONGEST = 1.0
"""Seconds that a dump may take."""
MOST = 64 * 1024
"""Bytes that are kept of one."""
_PAGE = 4096

Told = Callable[[str], None]


class Stack:
    """The read end of one job's pipe. It is heard from the first dump on, so that a late one never holds up the job."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        """Take the read end."""
        self._loop = loop
        self.fd = fd
        self._waiting: list[Told] = []
        self._text = b""
        self._is_heard = False
        self._silence: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None

    def ask(self, pid: int, pidfd: int, told: Told) -> None:
        """Have the stacks of all threads told, within a second; who asks meanwhile is told the same."""
        if self._waiting:
            self._waiting.append(told)
            return
        if not (is_caught(pid, STACK_SIGNAL) and self._is_in_place(pid)):
            self._loop.call_soon(told, NONE)
            return
        if not self._is_heard:
            self._is_heard = True
            self._loop.add_reader(self.fd, self._hear)
        self._hear()  # what came too late for the one before
        self._waiting, self._text = [told], b""
        self._end = self._loop.call_later(LONGEST, self._tell)
        try:
            signal.pidfd_send_signal(pidfd, STACK_SIGNAL)
        except ProcessLookupError:
            self._tell()

    def _is_in_place(self, pid: int) -> bool:
        """Tell whether the job's descriptor is still the pipe: one that was closed may be a file of the job's now."""
        try:
            theirs = os.stat(f"/proc/{pid}/fd/{STACK_FD}")  # noqa: PTH116  # as above
        except OSError:
            return False
        return os.path.samestat(theirs, os.fstat(self.fd))

    def _hear(self) -> None:
        try:
            text = os.read(self.fd, MOST)
        except BlockingIOError:
            return
        if not text:
            self._loop.remove_reader(self.fd)  # every process that could write has ended
            self._tell()
            return
        self._text = (self._text + text)[:MOST]
        if self._waiting:
            if self._silence is not None:
                self._silence.cancel()
            self._silence = self._loop.call_later(SILENCE, self._tell)

    def _tell(self) -> None:
        for timer in (self._silence, self._end):
            if timer is not None:
                timer.cancel()
        self._silence = self._end = None
        text = without_engine(self._text.decode(errors="replace")) if self._text else NONE
        waiting, self._waiting, self._text = self._waiting, [], b""
        for told in waiting:
            told(text)

    def settle(self) -> None:
        """Tell whoever waits what has come by now."""
        if self._waiting:
            self._tell()

    def close(self) -> None:
        """Tell whoever still waits what has come, and let go of the pipe."""
        self._tell()
        if self._is_heard:
            self._loop.remove_reader(self.fd)
        os.close(self.fd)


def stack_pipe() -> tuple[int, int]:
    """Return the ends of a pipe of one page: unused ones are many, and the kernel counts a user's pipe pages.

    Raises:
        OSError: there are no descriptors left.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(ours, False)
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PAGE)
    return ours, theirs


def is_caught(pid: int, number: int) -> bool:
    """Tell whether a process handles a signal (SigCgt, proc(5))."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123  # a few microseconds, no Path
            status = dict(line.split(b":\t", 1) for line in file if line.startswith(b"Sig"))
    except OSError:
        return False
    bit = 1 << (number - 1)
    return bool(int(status[b"SigCgt"], 16) & bit)


_OURS = "/supervisor/engine/child.py"


def without_engine(text: str) -> str:
    """Return a dump without what stands below the job's own code: our way to it, and that of ``multiprocessing``."""
    kept: list[str] = []
    is_below = False
    for line in text.splitlines():
        if not line.startswith("  "):
            is_below = False
        is_below = is_below or (line.startswith("  File ") and _OURS in line)
        if not is_below:
            kept.append(line)
    return "\n".join(kept).strip("\n")
