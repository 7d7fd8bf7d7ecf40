"""The jobs' lines on a terminal, each behind its job's name in the job's colour, as foreman shows them."""

import os
from zlib import crc32

_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


class Console:
    """Writes whole lines to stdout without ever waiting: what a blocked terminal does not take is lost there alone."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._width = 0
        self._owed = b""
        self.lost = 0
        """Lines that the terminal did not take."""
        try:
            self._fd = os.open(
                "/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_APPEND
            )
        except OSError:
            self._fd = os.dup(1)
            os.set_blocking(self._fd, False)

    def prefix(self, label: str) -> bytes:
        """Return what stands before a job's lines; the column is as wide as the longest name so far."""
        self._width = max(self._width, len(label))
        text = f"{label:<{self._width}} | "
        if self._colour:
            text = f"\x1b[{_COLOURS[crc32(label.encode()) % len(_COLOURS)]}m{text}\x1b[0m"
        return text.encode()

    def write(self, lines: bytes) -> None:
        """Write whole lines; the rest of a line that was taken in part goes first, so that lines never mix."""
        data = self._owed + lines
        self._owed = b""
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.lost += lines.count(b"\n")
            return
        rest = data[written:]
        if rest and (written == 0 or data[written - 1 : written] != b"\n"):
            cut = rest.find(b"\n") + 1
            self._owed, rest = rest[:cut], rest[cut:]
        self.lost += rest.count(b"\n")
