"""The life of a job's process, from the fork to the job's own first line, and from its last to the exit status.

The order of the steps matters: the death signal is set after anything that could change the user (a change of uid or
gid clears it, prctl(2)), and the parent is compared after it, in case the fork server died in between. A step that
fails is told over the channel as a start failure with errno and words.
"""

import atexit
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, NoReturn, TextIO

from supervisor.engine import linux
from supervisor.engine.channel import Channel
from supervisor.engine.targets import TargetError, Wanted, find, place_of
from supervisor.engine.workshop import Workshop

CHANNEL_FD = 3
MOST_FDS = 2**31 - 1
PYTHONS_OWN = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores at its start."""
NOT_STARTED = 127
"""The exit status of a process whose start failed; what failed is told over the channel."""


class Inherited(NamedTuple):
    """What the child has from the fork server; what can be found out there once is not found out in each child."""

    stdout: int
    stderr: int
    channel: int
    spare: int
    """A descriptor above all that the child keeps, to move the others by."""
    parent: int
    environ_slot: linux.EnvironSlot
    handled: tuple[int, ...]
    """Signals whose disposition in the fork server is not the default."""
    stdin: TextIO


class StepError(Exception):
    """A step of the start failed."""

    def __init__(self, step: str, errno: int, text: str) -> None:
        super().__init__(text)
        self.step = step
        self.errno = errno


def main(spec: Mapping[str, Any], inherited: Inherited) -> None:
    """Become the job; returns or raises SystemExit at the job's end.

    Every page that a child writes to is copied, and each function that it is the first to call is such a page or two:
    the straight line below is short on purpose. The fork server's objects are never finalized here (the process ends
    by ``_exit``), so their descriptors are closed by number.
    """
    try:
        _settle_in(spec, inherited)
        if "argv" in spec:
            _exec(spec)
        _run(spec)
    except StepError as error:
        channel().send("start_failed", step=error.step, errno=error.errno, text=str(error))
        os._exit(NOT_STARTED)


def channel() -> Channel:
    """Return the job's channel; made only where it is needed."""
    return Channel(socket.socket(fileno=os.dup(CHANNEL_FD)))


def _settle_in(spec: Mapping[str, Any], inherited: Inherited) -> None:
    """Take each step from the fork server's child to the job's own surroundings.

    The stream objects are the fork server's own, made line-buffered there: their numbers stay, what they write to is
    new.
    """
    is_command = "argv" in spec
    step = "descriptors"
    try:
        os.dup2(inherited.channel, inherited.spare)  # the pipes or the channel may be number 1 to 3
        os.dup2(inherited.stdout, 1)
        os.dup2(inherited.stderr, 2)
        os.dup2(inherited.spare, CHANNEL_FD, is_command)
        os.closerange(CHANNEL_FD + 1, MOST_FDS)
        step = "session"
        os.setsid()
        inherited.environ_slot.write(spec["env"]["JOBVISOR_RUN_ID"])
        os.environ.update(spec["env"])
        step = "parent-death signal"
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() != inherited.parent:
            os._exit(NOT_STARTED)
        step = "chdir"
        os.chdir(spec["cwd"])
    except OSError as error:
        raise StepError(step, error.errno or 0, _words(error)) from error
    _reset_signals(inherited.handled, is_python=not is_command)
    sys.stdin = inherited.stdin


def _words(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)


def _reset_signals(handled: tuple[int, ...], *, is_python: bool) -> None:
    """Undo what the fork server ignores and handles; an ignored signal would survive an exec.

    A Python job gets what Python sets up: SIGINT raises KeyboardInterrupt, a broken pipe is an exception.
    """
    signal.set_wakeup_fd(-1)
    for number in handled:
        if not (is_python and number in PYTHONS_OWN):
            signal.signal(number, signal.SIG_DFL)
    if is_python:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exec(spec: Mapping[str, Any]) -> NoReturn:
    argv: list[str] = spec["argv"]
    try:
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606  # what the manifest says
    except OSError as error:
        raise StepError("exec", error.errno or 0, f"{error.strerror}: {argv[0]}") from error
    except ValueError as error:
        raise StepError("exec", 0, str(error)) from error


def _run(spec: Mapping[str, Any]) -> None:
    """Call the target, and end as plain Python would: its exit status, its traceback, its atexit handlers."""
    atexit._clear()  # noqa: SLF001  # handlers from before the fork are not the job's
    found = _found(spec)
    try:
        if isinstance(found, type):
            Workshop(partial(found, *spec["args"], **spec["kwargs"]), channel(), spec["stop_signal"]).serve()
        else:
            found(*spec["args"], **spec["kwargs"])
    except SystemExit:
        raise
    except KeyboardInterrupt as error:
        _report(error)
        raise SystemExit(128 + signal.SIGINT) from error
    except BaseException as error:
        _report(error)
        raise SystemExit(1) from error
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001  # multiprocessing ends a child by _exit, without them


def _found(spec: Mapping[str, Any]) -> Any:
    try:
        return find(Wanted(spec["job"], spec["where"], spec["target"], spec["folder"]))
    except TargetError as error:
        raise StepError("import", 0, str(error)) from error.__cause__


def _report(error: BaseException) -> None:
    """Print the traceback as Python would, from the job's own frames on, and tell the supervisor."""
    _forget_own_frames(error)
    traceback.print_exception(error)
    place = place_of(error)
    channel().send(
        "error",
        type=type(error).__name__,
        message=str(error)[:2000],
        file=place[0] if place else None,
        line=place[1] if place else None,
        traceback="".join(traceback.format_exception(error))[-20_000:],
    )


def _forget_own_frames(error: BaseException) -> None:
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    error.__traceback__ = frames


_HERE = os.path.dirname(__file__) + "/"  # hot: no Path objects in the child
