"""What the engine knows of CPython's insides, in one place: tested on every Python that we support (3.11 to 3.13).

All of it follows from one wish: a child of ``multiprocessing`` that is, to the job's code, a fresh Python process.
"""

import atexit
import io
import multiprocessing.process
import multiprocessing.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from multiprocessing import popen_fork
from multiprocessing.context import ForkProcess
from typing import Any, TextIO


class _Forked(popen_fork.Popen):
    """A fork whose end we see by its pidfd: without the pipes of ``multiprocessing``, which a fork that fails leaks."""

    def __init__(self, process: Any, fork: Callable[[], int]) -> None:
        self._fork = fork
        super().__init__(process)

    def _launch(self, process: Any) -> None:
        self.sentinel = -1
        self.pid = self._fork()
        if self.pid == 0:
            status = 1
            try:
                status = process._bootstrap()  # noqa: SLF001
            finally:
                os._exit(status)


class Process(ForkProcess):
    """A process of ``multiprocessing`` by a fork of our choice, that we reap ourselves."""

    def __init__(self, target: Callable[..., object], args: Sequence[object], fork: Callable[[], int]) -> None:
        super().__init__(target=target, args=args)
        self._fork = fork

    @staticmethod
    def _Popen(process: Any) -> _Forked:  # noqa: N802  # the name that ``start`` looks for
        return _Forked(process, process._fork)  # noqa: SLF001

    def begin(self) -> int:
        """Fork, and return the pid; ``multiprocessing`` is kept from polling the process at each later start."""
        self.start()
        multiprocessing.process._children.discard(self)  # type: ignore[attr-defined]  # noqa: SLF001
        assert self.pid is not None
        return self.pid


def environ_table() -> dict[bytes, bytes]:
    """Return what ``os.environ`` keeps; who changes it also calls ``os.putenv``."""
    return os.environ._data  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001


_CLEARS_AT_FORK = sys.version_info >= (3, 13)
"""``multiprocessing`` itself drops exit handlers in its child, also those that every process has."""


def forget_exit_handlers() -> None:
    """Drop what was to run at the fork server's exit, and keep what every Python process runs at its own."""
    atexit._clear()  # noqa: SLF001
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]  # noqa: SLF001
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # noqa: SLF001
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]  # noqa: SLF001
    _keep_logging()


def begin_child() -> None:
    """Have in a child what ``forget_exit_handlers`` has kept in its parent."""
    if _CLEARS_AT_FORK:
        _keep_logging()


def _keep_logging() -> None:
    if logging := sys.modules.get("logging"):
        atexit.register(logging.shutdown)


def run_exit_handlers() -> None:
    """Wait for the job's threads, then run its exit handlers, as a Python process does that is not a fork."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001


def line_buffered_streams() -> TextIO:
    """Make stdout and stderr line-buffered for the children, and return stdin, taken away from ``multiprocessing``.

    Its children would each close it and open another (``util._close_stdin``); ours is /dev/null already.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    stdin, sys.stdin = sys.stdin, None
    return stdin


def flush_streams() -> None:
    """Write out what stdout and stderr hold, whatever the job has made of them."""
    multiprocessing.util._flush_std_streams()  # type: ignore[attr-defined]  # noqa: SLF001
