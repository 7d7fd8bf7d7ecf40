"""Importing what all jobs share, once, in the fork server.

A fork server that has imported a bad module cannot be made good again: it says which one, and ends. The supervisor
starts another without that module, and each job imports it itself.
"""

import importlib
import os
import threading
from collections.abc import Callable, Sequence

from supervisor import memory
from supervisor.wire import Message

Say = Callable[[Message], None]


def preload(modules: Sequence[str], say: Say) -> None:
    """Import the modules; the supervisor is told before each one, so that it knows which hung or crashed."""
    for name in modules:
        say({"fact": "preloading", "module": name})
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  # whatever it raises, the jobs import it themselves
            _refuse(name, f"{type(error).__name__}: {error}", say)
        if threading.active_count() > 1:
            _refuse(name, "it leaves a thread running, and a fork beside a thread can deadlock", say)
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  # no pathlib in the fork server
            say({"fact": "preload_warning", "module": name, "text": "it starts native threads"})
    memory.settle()


def _refuse(module: str, reason: str, say: Say) -> None:
    say({"fact": "preload_failed", "module": module, "reason": reason})
    os._exit(1)
