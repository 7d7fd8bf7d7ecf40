"""Who has started: every job says on one FIFO, in one atomic write, that its first line is out."""

import os
import select
import time
from pathlib import Path


class NotStartedError(Exception):
    """Jobs did not start within their time."""


class Arrivals:
    """The reading end of the FIFO."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "arrivals"
        os.mkfifo(self.path)
        # Open for writing too: no end-of-file between two jobs.
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._pidfd: int | None = None
        self._rest = b""
        self._come: list[int] = []

    def end_with(self, pid: int) -> None:
        """Wait no longer once this child process has ended."""
        self._pidfd = os.pidfd_open(pid)
        self._poll.register(self._pidfd, select.POLLIN)

    def wait(self, count: int, *, within: float = 180.0) -> list[int]:
        """Return the pids of the next ``count`` jobs, as soon as all have said that they run.

        Raises:
            NotStartedError: fewer did within so many seconds, or before the program that starts them ended.
        """
        give_up_at = time.monotonic() + within
        while len(self._come) < count:
            ready = [fd for fd, _ in self._poll.poll(max(0.0, give_up_at - time.monotonic()) * 1000)]
            if self._fd not in ready:
                why = f"within {within:g} s" if not ready else "before their supervisor ended"
                raise NotStartedError(f"{len(self._come)} of {count} jobs started {why}")
            *whole, self._rest = (self._rest + os.read(self._fd, 65_536)).split(b"\n")
            self._come += map(int, whole)
        pids, self._come = self._come[:count], self._come[count:]
        return pids

    def close(self) -> None:
        """Close the FIFO; jobs that start later get no reader, and wait."""
        os.close(self._fd)
        if self._pidfd is not None:
            os.close(self._pidfd)
