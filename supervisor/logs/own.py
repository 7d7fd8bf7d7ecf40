"""The file of the supervisor's own log, written by a thread: a disk that is slow or full holds up nothing else."""

from collections import deque
from threading import Condition, Thread

from supervisor.logs.file import File

ROOM = 10_000
"""Lines that wait for the disk at most; further ones are lost, and counted."""
FAREWELL = 5.0
"""Seconds that the disk has for what waits at the end."""
_WRITER = 1


class OwnFile:
    """A sink for loguru that takes lines as they come and never waits. What ``logs.file`` promises holds here too."""

    def __init__(self, path: str, *, max_size: int, keep: int) -> None:
        self._file = File(path, "the supervisor's own log", report=lambda _: None)
        self._file.max_size, self._file.keep, self._file.timestamps = max_size, keep, False
        self._woken = Condition()
        # Under the condition's lock:
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._is_to_reopen = False
        self._is_closing = False
        self._thread = Thread(target=self._serve, name="own log", daemon=True)  # a disk that hangs holds no end up
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """A line for status; None while all is written."""
        with self._woken:
            dropped = self._dropped
        lost, why = dropped + self._file.lost, self._file.error or (f"more than {ROOM:,} waited" if dropped else None)
        return f"{self._file.label}: {lost} lines lost at {self._file.path}: {why}" if why else None

    def write(self, line: str) -> None:
        """Take a line."""
        with self._woken:
            if len(self._waiting) < ROOM:
                self._waiting.append(line)
                self._woken.notify_all()
            else:
                self._dropped += 1

    def reopen(self) -> None:
        """Go on in a new file where somebody has moved the old one away, as logrotate does."""
        with self._woken:
            self._is_to_reopen = True
            self._woken.notify_all()

    def settle(self) -> None:
        """Wait until all is written, if the disk takes it in time: a process that execs loses its threads."""
        with self._woken:
            self._woken.wait_for(lambda: not self._waiting, FAREWELL)

    def stop(self) -> None:
        """Write what waits, if the disk takes it in time, and close the file: loguru calls it at the end."""
        with self._woken:
            self._is_closing = True
            self._woken.notify_all()
        self._thread.join(FAREWELL)

    def _serve(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._waiting or self._is_to_reopen or self._is_closing)
                lines = tuple(self._waiting)
                reopens, self._is_to_reopen = self._is_to_reopen, False
            for line in lines:
                self._file.write(_WRITER, line.encode(errors="backslashreplace"))
            if reopens:
                self._file.reopen()
            with self._woken:
                for _ in lines:  # they have waited until now, for who waits until all is written
                    self._waiting.popleft()
                self._woken.notify_all()
                if self._is_closing and not self._waiting:
                    break
        self._file.close()
