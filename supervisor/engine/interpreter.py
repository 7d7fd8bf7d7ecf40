"""What the engine knows of CPython's insides, in one place: tested on every Python that we support (3.11 to 3.13).

All of it follows from one wish: a child of ``multiprocessing`` that is, to the job's code, a fresh Python process.
"""

import atexit
import multiprocessing.process
import multiprocessing.util
import sys
import threading
import weakref
from typing import Any


def let_go(process: Any) -> None:
    """Keep ``multiprocessing`` from polling the process at each later start, and from holding its pipes: we reap it."""
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001
    process._popen.finalizer()  # noqa: SLF001


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


def flush_streams() -> None:
    """Write out what stdout and stderr hold, whatever the job has made of them."""
    multiprocessing.util._flush_std_streams()  # type: ignore[attr-defined]  # noqa: SLF001
