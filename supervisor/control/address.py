"""Socket addresses: a path too long for one is bound and reached through a descriptor of its folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 107
"""Bytes of a path in a socket address (unix(7))."""


@contextmanager
def address(path: str) -> Iterator[str]:
    """Yield a path by which the socket can be bound or reached while the context lasts."""
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
