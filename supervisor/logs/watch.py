"""Waiting until something is written to a folder's files: inotify(7), or a look now and then where there is none."""

import ctypes
import os
import select
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x80, 0x100
_LOOK_EVERY = 0.25
"""Seconds between two looks where inotify has no instance or watch left (max_user_instances, max_user_watches)."""


class Watch:
    """A folder under watch, from the moment this is made."""

    def __init__(self, folder: Path) -> None:
        self._fd = _inotify(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self, seconds: float | None = None) -> None:
        """Return when something may have changed, or after so many seconds."""
        if self._fd is None:
            time.sleep(_LOOK_EVERY if seconds is None else min(seconds, _LOOK_EVERY))
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if poll.poll(None if seconds is None else seconds * 1000):
            os.read(self._fd, 64 * 1024)

    def close(self) -> None:
        """Watch no longer."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None


def _inotify(folder: Path) -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(folder), _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE) < 0:
        os.close(fd)
        return None
    return fd
