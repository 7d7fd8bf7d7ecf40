"""The page on which a job writes how far it is: its own memory, which the supervisor reads when somebody asks.

The job sends the descriptor once; from then on the latest figures are on the page, and no call costs the supervisor
anything. A page that is read while it is written shows by its check sum.
"""

import math
import os
import struct
import time
import zlib
from typing import NamedTuple

LONGEST_NOTE = 200
"""Bytes of a note; what is longer is cut."""

_SUM = struct.Struct("<I")
_FIGURES = struct.Struct("<qdddddH")
_TRIES = 3


class Figures(NamedTuple):
    """What stands on a page. Instants are of CLOCK_MONOTONIC, in seconds."""

    run_id: int
    """Of the run that wrote it; a Worker's ticks are runs of their own."""
    first: float
    """``done`` at the first call."""
    began_at: float
    done: float
    total: float | None
    at: float
    note: str


class Page:
    """The writer's end, of one process and one run."""

    def __init__(self, run_id: int) -> None:
        self.fd = os.memfd_create("progress", os.MFD_CLOEXEC)
        self.is_shown = False
        """True once the supervisor has been sent it."""
        self._run_id = run_id
        self._first = self._began_at = self._done = 0.0

    def turn(self, run_id: int) -> None:
        """Begin anew, for another run."""
        self._run_id, self._began_at = run_id, 0.0

    def write(self, done: float, total: float | None, note: str) -> None:
        """Replace what stands on the page; a ``done`` that goes back begins anew.

        Raises:
            TypeError: ``done`` or ``total`` is no number.
        """
        now = time.monotonic()
        done = float(done)
        if not self._began_at or done < self._done:
            self._first, self._began_at = done, now
        self._done = done
        whole = math.nan if total is None else float(total)
        text = note.encode(errors="replace")[:LONGEST_NOTE] if note else b""
        body = _FIGURES.pack(self._run_id, self._first, self._began_at, done, whole, now, len(text)) + text
        os.pwrite(self.fd, _SUM.pack(zlib.crc32(body)) + body, 0)


def read(fd: int) -> Figures | None:
    """Return what stands on a page, or None where it is empty, torn or no figures."""
    for _ in range(_TRIES):
        try:
            data = os.pread(fd, _SUM.size + _FIGURES.size + LONGEST_NOTE, 0)
        except OSError:
            return None
        if len(data) < _SUM.size + _FIGURES.size:
            return None
        *figures, length = _FIGURES.unpack_from(data, _SUM.size)
        end = _SUM.size + _FIGURES.size + length
        if zlib.crc32(data[_SUM.size : end]) == _SUM.unpack_from(data)[0]:
            run_id, first, began_at, done, total, at = figures
            if not all(map(math.isfinite, (first, began_at, done, at))) or math.isinf(total):
                return None
            note = data[_SUM.size + _FIGURES.size : end].decode(errors="ignore")
            return Figures(run_id, first, began_at, done, None if math.isnan(total) else total, at, note)
    return None
