"""Giving back what a start has used: each of our processes lives long after its imports."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress

_MADV_DONTNEED = 4

_libc = ctypes.CDLL(None)


def settle() -> None:
    """Collect garbage, keep what is left out of all later collections, and give back what the imports alone have used.

    What is frozen is also never written to by the collector, so children that are forked share it.
    """
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Return free memory to the kernel; ``malloc_trim`` is glibc's alone (malloc_trim(3))."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
    with suppress(OSError):  # a kernel that does not tell (CONFIG_PROC_PAGE_MONITOR)
        _let_libraries_go()


def _let_libraries_go() -> None:
    for start, length in list(_untouched_libraries()):
        _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def _untouched_libraries() -> Iterator[tuple[int, int]]:
    """Yield address and length of what is mapped of shared libraries and was never written to (proc_pid_smaps(5)).

    Its pages are the files' own. Those that only a start has needed, a library's tables above all, are let go, and come
    back from the file where they are used after all (madvise(2)).
    """
    span = ""
    with open("/proc/self/smaps", "rb") as file:
        for line in file:
            if line[0] in b"0123456789abcdef":
                where, access, *_ = line.split(maxsplit=5)
                is_library = b".so" in line and access.startswith(b"r-")
                span = where.decode() if is_library else ""
            elif span and line.startswith(b"Anonymous:") and line.split()[1] == b"0":
                start, end = (int(each, 16) for each in span.split("-"))
                yield start, end - start
