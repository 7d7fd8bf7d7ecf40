"""What a job's own code may ask about its run: ``from supervisor import job``.

Outside Jobvisor every name has a quiet value, so a job runs as plain Python too.

A stop is a signal first: a function or command that wants to end well handles its stop signal (SIGTERM, which by
default ends it at once, as any program), and then ``stopping`` and ``wait`` tell of the stop. A Worker with a ``stop``
of its own needs no handler: its ``tick`` may ask here, and is let end.
"""

import os
import select
import socket
import time
from collections.abc import Callable
from datetime import datetime

__all__ = ["attempt", "due", "instance", "name", "run_id", "stopping", "trigger", "wait"]

name: str | None
"""The job's name; None outside Jobvisor."""
run_id: int | None
"""The run's number, as ``jobvisor history`` shows it."""
due: datetime | None
"""The due time of a scheduled run, in UTC."""
attempt: int
"""1 for the first attempt of a due time; retries count up."""
instance: int
"""1 to ``instances``."""
trigger: str | None
"""Why the run was started: schedule, catch-up, manual, retry, start or restart."""
stopping: bool
"""True once a stop was asked: what is left of the job's time is for ending well."""


def __getattr__(asked: str) -> object:
    """Read the environment when asked: a Worker's process serves many runs."""
    match asked:
        case "name":
            return os.environ.get("JOBVISOR_JOB")
        case "run_id":
            value = os.environ.get("JOBVISOR_RUN_ID")
            return int(value) if value else None
        case "due":
            value = os.environ.get("JOBVISOR_DUE")
            return datetime.fromisoformat(value) if value else None
        case "attempt" | "instance":
            return int(os.environ.get(f"JOBVISOR_{asked.upper()}", "1"))
        case "trigger":
            return os.environ.get("JOBVISOR_TRIGGER")
        case "stopping":
            return wait(0)
    raise AttributeError(f"module 'supervisor.job' has no attribute {asked!r}")


def wait(seconds: float) -> bool:
    """Sleep, and wake early when a stop is asked; return whether one was."""
    watch = _watches.get(os.getpid(), _watch_channel)
    return watch(seconds)


Watch = Callable[[float], bool]
_watches: dict[int, Watch] = {}
"""By pid, as a fork of the job is not the job: how this process waits for its stop."""


def watch_by(watch: Watch) -> None:
    """Let the engine, which takes a Worker's messages itself, wait for the stop of this process."""
    _watches[os.getpid()] = watch


def _watch_channel(seconds: float) -> bool:
    """Wait for a message without taking it: a job that is no Worker is told of nothing but its stop."""
    channel = _channel()
    until = time.monotonic() + seconds
    if channel is not None:
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        if _has_stop(channel):
            return True
    time.sleep(max(0.0, until - time.monotonic()))
    return False


def _has_stop(channel: socket.socket) -> bool:
    try:
        peeked = channel.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return not peeked or b'"kind":"stop"' in peeked


def _channel() -> socket.socket | None:
    """Return the job's channel; not inherited by what the job starts from here on."""
    fd = os.environ.get("JOBVISOR_FD")
    if not fd:
        return None
    if fd not in _channels:
        try:
            os.set_inheritable(int(fd), False)
            _channels[fd] = socket.socket(fileno=os.dup(int(fd)))
        except OSError:
            return None
    return _channels[fd]


_channels: dict[str, socket.socket] = {}
