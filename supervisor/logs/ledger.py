"""What a log process has read and not yet written, in memory that outlives it: the next one goes on from there.

The supervisor makes this memory, keeps it, and passes it to one log process after the other; nothing in it is read or
written but by the one that serves. A slice is read from a pipe straight into an ``Entry``, and beside it stands how far
it has come on its way into the files, so there is no moment in which a slice is nowhere. An ``Account`` says of each
pipe what is known of the line that it has left open.

A process that is killed between its read and its note of how much that was has left the slice among a filler: bytes
that are no UTF-8, in a cycle. Where a slice ends in what the filler has at that place, as no text does, those bytes are
not told from it: at most one of a row of equal bytes.
"""

import os

SLICE = 64 * 1024
"""Bytes that are read from a pipe before the next pipe has its turn; the size of a pipe."""
LONGEST = 64 * 1024
"""Bytes of a line; a longer one goes on in the next. Not less than SLICE: a slice is split once at most."""

Words = list[int] | memoryview
"""Numbers of 64 bits. Each is stored at once: a process is killed before or after, never within."""

# Of an entry; ``file`` says what those from AT on mean.
PIPE, READ, LENGTH, SETTLED, AT, JOINT, DONE, UNTIL, BEFORE, INODE = range(10)

# Of an account.
OPEN, OPEN_IN, OPEN_AT, MATCHED = range(4)
"""Bytes of the open line; inode and size of the file that ends in it, if one does; whether the run has said "ready"."""

_WORD = 8
_PAGE = 4096
_ENTRIES = 2
_ENTRY_WORDS = 16
_ACCOUNT_WORDS = 4
_MOST_ACCOUNTS = 64 * 1024
"""More pipes than that at once are read as well, and what is known of their open lines ends with the process."""
_BUFFERS = _PAGE
_ACCOUNTS = _BUFFERS + _ENTRIES * SLICE
_LINES = _ACCOUNTS + _MOST_ACCOUNTS * _ACCOUNT_WORDS * _WORD
"""From here on the open lines; this far it is mapped."""

_CYCLE = bytes(range(0xF8, 0x100))
_FILLER = _CYCLE * 1024


def made() -> int:
    """Return the descriptor of an empty ledger; a page that nobody writes to costs nothing.

    Raises:
        OSError: there are no descriptors left, or a limit on the size of files is smaller than a ledger.
    """
    fd = os.memfd_create("ledger", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, _LINES)
    except OSError:
        os.close(fd)
        raise
    return fd


class Entry:
    """One slice on its way, and how far it has come."""

    __slots__ = ("_buffer", "_dirty", "words")

    def __init__(self, words: Words, buffer: memoryview) -> None:
        self.words = words
        self._buffer = buffer
        self._dirty = SLICE
        """How much of the buffer may differ from the filler; all of it, as far as a new process knows."""

    def read(self, fd: int, pipe: int, length: int) -> bytes:
        """Take a slice out of a pipe of this number, whose open line has so many bytes.

        Raises:
            BlockingIOError: there is none.
        """
        for at in range(0, self._dirty, len(_FILLER)):
            self._buffer[at : at + len(_FILLER)] = _FILLER
        self._dirty = 0
        words = self.words
        words[READ] = words[SETTLED] = words[JOINT] = words[DONE] = 0
        words[LENGTH] = length
        words[PIPE] = pipe
        count = os.readv(fd, (self._buffer,))
        self._dirty = words[READ] = count
        return self._buffer[:count].tobytes()

    def found(self) -> bytes:
        """Return the slice that another process has left here."""
        if not self.words[PIPE]:
            return b""
        count = self.words[READ] or self._unfilled()
        self.words[READ] = count
        return self._buffer[:count].tobytes()

    def _unfilled(self) -> int:
        from bisect import bisect_left  # noqa: PLC0415  # hardly ever

        filler = _CYCLE * (SLICE // len(_CYCLE))
        return bisect_left(range(SLICE), True, key=lambda at: self._buffer[at:] == filler[at:])

    def clear(self) -> None:
        """Let go of the slice: all that shall come of it has come."""
        self.words[PIPE] = 0


class Ledger:
    """The memory, as a log process sees it."""

    def __init__(self, fd: int) -> None:
        """Take the descriptor."""
        import mmap  # noqa: PLC0415  # the supervisor, which only makes it, does not map it

        self._fd = fd
        memory = memoryview(mmap.mmap(fd, _LINES))
        self._words = memory[:_PAGE].cast("Q")
        self._accounts = memory[_ACCOUNTS:].cast("Q")
        self.files, self.journal = (
            Entry(
                self._words[each * _ENTRY_WORDS : (each + 1) * _ENTRY_WORDS],
                memory[_BUFFERS + each * SLICE : _BUFFERS + (each + 1) * SLICE],
            )
            for each in range(_ENTRIES)
        )
        """What is on its way into files; and to journald, which may keep it waiting while files are written."""

    def account(self, number: int) -> Words:
        """Return what is known of a pipe's open line; its number is the supervisor's choice."""
        if number >= _MOST_ACCOUNTS:
            return [0] * _ACCOUNT_WORDS
        return self._accounts[number * _ACCOUNT_WORDS : (number + 1) * _ACCOUNT_WORDS]

    def line(self, number: int, length: int) -> bytes:
        """Return the first bytes of a pipe's open line."""
        return os.pread(self._fd, length, _LINES + number * LONGEST) if number < _MOST_ACCOUNTS else b""

    def keep_line(self, number: int, at: int, text: bytes) -> None:
        """Keep what a pipe's open line has from a place on."""
        if number < _MOST_ACCOUNTS:
            os.pwrite(self._fd, text, _LINES + number * LONGEST + at)
