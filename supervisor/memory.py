"""Giving back what a start has used: each of our processes lives long after its imports."""

import ctypes
import gc

_libc = ctypes.CDLL(None)


def settle() -> None:
    """Collect garbage, keep what is left out of all later collections, and return free memory to the kernel.

    What is frozen is also never written to by the collector, so children that are forked share it. ``malloc_trim`` is
    glibc's alone (malloc_trim(3)).
    """
    gc.collect()
    gc.freeze()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
