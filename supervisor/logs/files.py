"""Rotating files of job output: one object a path, shared by every run that writes there."""

import os
from pathlib import Path


class LogFile:
    """Appends whole lines; rotates NAME to NAME.1 … NAME.<keep> before it would grow past ``max_size``."""

    def __init__(self, path: Path, *, max_size: int, keep: int) -> None:
        self.path = path
        self.max_size = max_size
        self.keep = keep
        self.dropped = 0
        """Lines that could not be written."""
        self.trouble: str | None = None
        """Why the last write failed; None once one succeeds."""
        self._fd = -1
        self._size = 0

    def write(self, lines: bytes) -> None:
        """Append whole lines; what the disk does not take is counted as dropped, and tried no more."""
        try:
            if self._fd < 0:
                self._open()
            if self._size and self._size + len(lines) > self.max_size:
                self._rotate()
            self._write(lines)
        except OSError as error:
            self.dropped += lines.count(b"\n")
            self.trouble = error.strerror or str(error)
            return
        self.trouble = None

    def _write(self, lines: bytes) -> None:
        """Write all, or take back what was written of a line that did not fit."""
        view = memoryview(lines)
        while view:
            try:
                written = os.write(self._fd, view)
            except OSError:
                whole = bytes(lines[: len(lines) - len(view)]).rfind(b"\n") + 1
                partial = len(lines) - len(view) - whole
                if partial:
                    os.ftruncate(self._fd, self._size - partial)
                    self._size -= partial
                self.dropped -= lines[:whole].count(b"\n")
                raise
            self._size += written
            view = view[written:]

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        self.close()
        if self.keep == 0:
            self.path.unlink(missing_ok=True)
        for number in range(self.keep, 0, -1):
            older = self.path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.rename(self._numbered(number))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def close(self) -> None:
        """Close the file; the next write opens its path anew."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
