"""One output pipe of a run: from chunks of bytes to whole, stamped lines."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

LONGEST_LINE = 64 * 1024
LAST_LINES = 50
LAST_BYTES = 32 * 1024


@dataclass(slots=True)
class Tail:
    """The last lines of a run, for the record of its failure; bounded in lines and bytes."""

    _chunks: deque[bytes] = field(default_factory=deque)
    _size: int = 0

    def add(self, lines: bytes) -> None:
        """Take more whole lines."""
        lines = lines[-LAST_BYTES:]
        self._chunks.append(lines)
        self._size += len(lines)
        while self._size - len(self._chunks[0]) >= LAST_BYTES:
            self._size -= len(self._chunks.popleft())

    def lines(self) -> list[str]:
        """Return at most 50 lines, oldest first."""
        text = b"".join(self._chunks)[-LAST_BYTES:].decode(errors="backslashreplace")
        return text.splitlines()[-LAST_LINES:]


class Lines:
    """Cuts a byte stream into lines: one over 64 KiB is split, a last one without line end gets one."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, chunk: bytes) -> bytes:
        """Return the whole lines that a chunk completes."""
        data = self._rest + chunk if self._rest else chunk
        end = data.rfind(b"\n") + 1
        whole, self._rest = data[:end], data[end:]
        while len(self._rest) >= LONGEST_LINE:
            whole += self._rest[:LONGEST_LINE] + b"\n"
            self._rest = self._rest[LONGEST_LINE:]
        if len(whole) > LONGEST_LINE and b"\n" not in whole[:LONGEST_LINE]:
            whole = _split(whole)
        return whole

    def rest(self) -> bytes:
        """Return the line that never ended, with an end."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""


def _split(whole: bytes) -> bytes:
    pieces: list[bytes] = []
    for line in whole.splitlines(keepends=True):
        while len(line) > LONGEST_LINE + 1:
            pieces.append(line[:LONGEST_LINE] + b"\n")
            line = line[LONGEST_LINE:]  # noqa: PLW2901  # what is left of it
        pieces.append(line)
    return b"".join(pieces)


def stamp(now: float) -> bytes:
    """Return the time before a line: ``2026-11-24T12:00:00.123Z ``."""
    at = datetime.fromtimestamp(now, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z ".encode()


def stamped(lines: bytes, prefix: bytes) -> bytes:
    """Return whole lines, each behind a prefix."""
    return prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"
