"""The marker of a fork server: which process it has begun to make last, in memory that outlives it.

A fork server can be killed between a fork and its word of it. Orders are numbered and served in turn, so one number
tells which of those without an answer may have a process, and it costs a fork a store to memory and no system call.
"""

import os
import sys

_SIZE = 8


class Marker:
    """The fork server's end. Its children do not have it: a job shall not say what was begun."""

    def __init__(self) -> None:
        import mmap  # noqa: PLC0415  # the supervisor, which only reads it, does not map it

        self.fd = os.memfd_create("marker", os.MFD_CLOEXEC)
        os.truncate(self.fd, _SIZE)
        memory = mmap.mmap(self.fd, _SIZE)
        memory.madvise(mmap.MADV_DONTFORK)
        self._number = memoryview(memory).cast("Q")

    def begin(self, number: int) -> None:
        """Note that the process of this order is made from now on."""
        self._number[0] = number


def marked(fd: int) -> int:
    """Return the number that stands on a marker, 0 where none was noted yet."""
    return int.from_bytes(os.pread(fd, _SIZE, 0), sys.byteorder)
