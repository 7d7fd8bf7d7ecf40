"""What a job's own code may ask about its run, and say of it: ``from supervisor import job``.

Outside Jobvisor every name has a quiet value and every call does nothing, so a job runs as plain Python too.

A stop is a signal first: a function or command that wants to end well handles its stop signal (SIGTERM, which by
default ends it at once, as any program), and then ``stopping`` and ``wait`` tell of the stop. A Worker with a ``stop``
of its own needs no handler: its ``tick`` may ask here, and is let end.
"""

import array
import json
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from supervisor.page import Page

__all__ = [
    "CheckpointError",
    "attempt",
    "checkpoint",
    "due",
    "heartbeat",
    "instance",
    "last_checkpoint",
    "name",
    "progress",
    "ready",
    "run_id",
    "stopping",
    "trigger",
    "wait",
]

name: str | None
"""The job's name; None outside Jobvisor."""
run_id: int | None
"""The run's number, as ``jobvisor history`` shows it; 0 under ``jobvisor exec``, None outside Jobvisor."""
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
last_checkpoint: Any
"""What ``checkpoint`` kept last, in this run or an earlier one of this instance; None where there is nothing."""

HEARTBEAT_EVERY = 0.1
"""Seconds; calls that come sooner after the last one say nothing new."""
LARGEST_CHECKPOINT = 1024 * 1024
"""Bytes of a checkpoint as JSON."""
ANSWER_WITHIN = 30.0
"""Seconds in which a checkpoint is on disk, or is known not to be."""


class CheckpointError(RuntimeError):
    """A checkpoint was not kept, or cannot be read; the text says why."""


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
        case "last_checkpoint":
            return _last_checkpoint()
    raise AttributeError(f"module 'supervisor.job' has no attribute {asked!r}")


# -- what a job says ---------------------------------------------------------------------------------------------------


def ready() -> None:
    """Say that the job has come up, where the manifest says ``ready = "notify"``; it is ``starting`` until then."""
    channel = _channel()
    if channel is None:
        return
    room = select.poll()
    room.register(channel, select.POLLOUT)
    while not _say(channel, b'[{"kind":"ready"}]'):
        room.poll()


def heartbeat() -> None:
    """Say that the job is alive: one with ``heartbeat`` in the manifest that is silent for longer counts as hung.

    It never waits, and may be called as often as one likes.
    """
    global _beaten_at  # noqa: PLW0603  # of this process
    now = time.monotonic()
    if now - _beaten_at < HEARTBEAT_EVERY:
        return
    channel = _channel()
    if channel is not None and _say(channel, b'[{"kind":"heartbeat"}]'):
        _beaten_at = now


_beaten_at = -HEARTBEAT_EVERY


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Say how far the run has come; ``jobvisor status`` shows it as a bar, with its rate and the time left.

    The latest call is what is shown, and it costs a few microseconds: a loop may call it in each round. ``total`` may
    be unknown. Each run (a Worker's ``tick`` too) begins anew, and so does a ``done`` that goes back.
    """
    page = _pages.get(os.getpid())
    if page is None:
        page = _new_page()
        if page is None:
            return
    page.write(done, total, note)
    if not page.is_shown and (channel := _channel()) is not None:
        page.is_shown = _say(channel, b'[{"kind":"progress","fds":1}]', page.fd)


_pages: dict[int, Page] = {}
"""By pid, as a fork of the job is not the job."""


def _new_page() -> Page | None:
    if _channel() is None:
        return None
    page = _pages[os.getpid()] = Page(int(os.environ.get("JOBVISOR_RUN_ID") or 0))
    return page


def turn_page(run_id: int) -> None:
    """Let the progress of a Worker's next tick begin anew."""
    page = _pages.get(os.getpid())
    if page is not None:
        page.turn(run_id)


def checkpoint(data: Any) -> None:
    """Keep a JSON value for the next run: when this returns, it is on disk, and no crash takes it away again.

    The next run, or the next attempt of this one, finds it in ``last_checkpoint``. It replaces the one before; None
    forgets it. Each instance of a job has its own.

    Raises:
        TypeError: ``data`` is no JSON value.
        ValueError: it is longer than 1 MiB as JSON.
        CheckpointError: it could not be kept; the one before still is.
    """
    channel = _channel()
    if channel is None:
        return
    text = json.dumps(data, separators=(",", ":")).encode()
    if len(text) > LARGEST_CHECKPOINT:
        raise ValueError(
            f"a checkpoint of {len(text):,} bytes; at most {LARGEST_CHECKPOINT:,} are kept: "
            "write a file, and keep its name"
        )
    _ask(channel, "keep", text)


def _last_checkpoint() -> Any:
    channel = _channel()
    if channel is None:
        return None
    text = _ask(channel, "recall", b"")
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise CheckpointError(f"the last checkpoint is no JSON: {error}") from error


def _ask(channel: socket.socket, kind: str, text: bytes) -> bytes:
    """Return the supervisor's answer to a question, written on the sheet that goes with it.

    Sheet and reply are the question's own: nobody who reads the channel comes between, in whichever thread or fork.
    """
    sheet = os.memfd_create("checkpoint", os.MFD_CLOEXEC)
    reply, done = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(sheet, text)
        message = b'[{"kind":"%b","fds":2}]' % kind.encode()
        room = select.poll()
        room.register(channel, select.POLLOUT)
        while not _say(channel, message, sheet, done):
            room.poll()
        os.close(done)
        done = -1
        answered = select.poll()
        answered.register(reply, select.POLLIN)
        if not answered.poll(ANSWER_WITHIN * 1000):
            raise CheckpointError(f"no answer from the supervisor within {ANSWER_WITHIN:g} s")
        match os.read(reply, 1):
            case b"+":
                return os.pread(sheet, LARGEST_CHECKPOINT, 0)
            case b"-":
                raise CheckpointError(os.pread(sheet, 4096, 0).decode(errors="replace"))
        raise CheckpointError("the supervisor is gone")
    finally:
        for fd in (sheet, reply, *([done] if done >= 0 else [])):
            os.close(fd)


def _say(channel: socket.socket, message: bytes, *fds: int) -> bool:
    """Send a message at once; return False where there is no room for it just now.

    Raises nothing where the supervisor is gone: the job is about to end.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        with suppress(ConnectionError):
            channel.sendmsg([message], rights, socket.MSG_DONTWAIT)  # socket.send_fds forgets its flags (3.11)
    except BlockingIOError:
        return False
    return True


# -- what a job is told ------------------------------------------------------------------------------------------------


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
            channel = socket.socket(fileno=os.dup(int(fd)))
        except OSError:
            return None
        if channel.type is not socket.SOCK_SEQPACKET:  # a number that means something else here
            channel.close()
            return None
        _channels[fd] = channel
    return _channels[fd]


_channels: dict[str, socket.socket] = {}
