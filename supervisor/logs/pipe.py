"""A job's output on its way: where its lines end, and the last of them by run."""

from supervisor.logs.file import File
from supervisor.logs.journaled import Journaled
from supervisor.logs.ledger import LONGEST, Words
from supervisor.logs.match import LineMatch

TAIL_LINES = 50
TAIL_BYTES = 16 * 1024
"""What is kept of a run's last lines, at most."""


class Tail:
    """The last lines that a run has put out, whichever of its pipes they came from."""

    __slots__ = ("_is_cut", "_pipe", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._pipe = 0
        self._is_cut = False

    def add(self, pipe: int, text: bytes) -> None:
        """Take what came out of the pipe of this number; a line that another pipe breaks into ends there."""
        if pipe != self._pipe and self._text and not self._text.endswith(b"\n"):
            self._text += b"\n"
        self._pipe = pipe
        text = self._text + text if len(text) < TAIL_BYTES else text
        self._is_cut = self._is_cut or len(text) > TAIL_BYTES
        self._text = text[-TAIL_BYTES:]

    def trim(self) -> None:
        """Keep no more than is ever asked for; no more output will come."""
        lines = self._text.splitlines(keepends=True)
        if len(lines) > TAIL_LINES:
            self._text = b"".join(lines[-TAIL_LINES:])
            self._is_cut = False

    def lines(self) -> list[str]:
        """Return the last lines, oldest first, without the first where it is only the end of one."""
        lines = self._text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if self._is_cut and len(lines) > 1:
            del lines[0]
        return [line.decode(errors="replace") for line in lines[-TAIL_LINES:]]


class Run:
    """A run whose output comes in, or whose last lines are kept."""

    __slots__ = ("is_ready", "match", "pipes", "run_id", "slot", "tail")

    def __init__(self, run_id: int, slot: str) -> None:
        self.run_id = run_id
        self.slot = slot
        self.pipes = 0
        """How many of its pipes have not ended."""
        self.tail = Tail()
        self.match: LineMatch | None = None
        """The line that says that the job is ready, until it has come."""
        self.is_ready = False
        """The line has come."""


class Pipe:
    """The read end of a pipe, in which a run's stdout or stderr (or both) arrives."""

    __slots__ = ("account", "colour", "end_by", "fd", "file", "grace", "is_wide", "number", "open_line", "run", "seat")

    def __init__(  # what there is to know of a pipe, once
        self,
        number: int,
        fd: int,
        run: Run,
        file: File | Journaled,
        *,
        colour: int | None,
        grace: float | None,
        seat: int,
        account: Words,
    ) -> None:
        self.number = number
        self.fd = fd
        self.run = run
        self.file = file
        self.colour = colour
        """SGR number of the label's colour on the console."""
        self.grace = grace
        """Seconds after the supervisor's death in which the fork server has ended the whole job; None is any time."""
        self.end_by: float | None = None
        """From this monotonic time on nobody but an escaped process holds the pipe: it ends when it is empty."""
        self.is_wide = False
        self.seat = seat
        """The number of its account."""
        self.account = account
        self.open_line = b""
        """The begin of a line that has not ended, as far as somebody wants whole lines."""

    def completed(self, text: bytes) -> bytes:
        """Return the lines that the text completes, and keep what it leaves open."""
        lines, newline, rest = text.rpartition(b"\n")
        if not newline:
            self.open_line += rest
            return b""
        begin, self.open_line = self.open_line, rest
        return begin + lines + newline


def split(chunk: bytes, length: int) -> tuple[bytes, int]:
    """Return the chunk with a newline put in where its first line gets too long, and the bytes of its last line.

    ``length`` is what its first line had before.
    """
    head = chunk.find(b"\n")
    if length + (head if head >= 0 else len(chunk)) > LONGEST:
        cut = _character(chunk, LONGEST - length)
        chunk = chunk[:cut] + b"\n" + chunk[cut:]
    last = chunk.rfind(b"\n")
    return chunk, len(chunk) - last - 1 if last >= 0 else length + len(chunk)


def _character(chunk: bytes, cut: int) -> int:
    """Return the place at or before ``cut`` at which no UTF-8 character is cut in two, where there is one nearby."""
    for at in range(cut, max(cut - 4, -1), -1):
        if chunk[at] & 0xC0 != 0x80:
            return at
    return cut
