"""The life of a job's process, from the fork to the job's own first line, and from its last to the exit status.

The order of the steps matters: the death signal is set after anything that could change the user (a change of uid or
gid clears it, prctl(2)), and the parent is compared after it, in case the fork server died in between. A step that
fails is told over the channel as a start failure with errno and words.
"""

import _signal  # type: ignore[import-not-found]  # hot: what ``signal`` wraps, without the enums that it makes
import binascii
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn, TextIO

from supervisor import linux
from supervisor.accounts import UnknownAccountError
from supervisor.engine import cgroups, failure, interpreter, standing
from supervisor.engine.agreed import CHANNEL_FD, STACK_FD
from supervisor.engine.channel import Channel
from supervisor.engine.targets import TargetError, Wanted, find
from supervisor.engine.workshop import Workshop

PYTHONS_OWN = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores at its start."""
NOT_STARTED = 127
"""The exit status of a process whose start failed; what failed is told over the channel."""


class Common(NamedTuple):
    """What every child has from the fork server; what can be found out there once is not found out in each child."""

    parent: int
    environ_slot: linux.EnvironSlot
    command_line: linux.CommandLine
    environ: Mapping[str, str]
    """What the environment of a ``command`` starts from; a Python job has the fork server's ``os.environ``."""
    nofile: tuple[int, int]
    """Soft and hard limit of open files."""
    stdin: TextIO
    spares: tuple[int, int] = (-1, -1)
    """Two descriptors above all that the child keeps, to move the others by."""
    handled: tuple[int, ...] = ()
    """Signals whose disposition in the fork server is not the default."""


class Inherited(NamedTuple):
    """What one child has from the fork server."""

    stdout: int
    stderr: int
    channel: int
    stack: int | None
    """None for a command, which would die of the signal, and for a probe."""
    common: Common
    cgroup: str | None = None


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
        settle_in(spec, inherited)
        if "argv" in spec:
            _exec(spec, inherited.common.environ)
        _run(spec)
    except StepError as error:
        interpreter.flush_streams()
        channel().send("start_failed", step=error.step, errno=error.errno, text=str(error))
        os._exit(NOT_STARTED)


def channel() -> Channel:
    """Return the job's channel; made only where it is needed."""
    return Channel(socket.socket(fileno=os.dup(CHANNEL_FD)))


def settle_in(spec: Mapping[str, Any], inherited: Inherited) -> None:
    """Take each step from the fork server's child to the job's own surroundings.

    The stream objects are the fork server's own, made line-buffered there: their numbers stay, what they write to is
    new.

    Raises:
        StepError: one of them failed.
    """
    is_command = "argv" in spec
    common = inherited.common
    step = "session"
    try:
        os.setsid()
        step = "descriptors"
        _take_descriptors(inherited, is_command=is_command)
        if inherited.cgroup is not None:
            step = "cgroup"
            cgroups.join(inherited.cgroup)
        step = "environment"
        common.environ_slot.write(spec["env"]["JOBVISOR_RUN_ID"])
        if not is_command:
            common.command_line.write(spec["title"])
        for name, value in spec["env"].items():
            os.environ[name] = value
        if "nice" in spec:
            step = "nice"
            standing.set_priority(spec["nice"])
        step = "limits"
        resource.setrlimit(resource.RLIMIT_NOFILE, common.nofile)
        if "rlimits" in spec:
            standing.limit(spec["rlimits"])
        if "user" in spec or "group" in spec:
            step = "user"
            standing.change_user(spec)
        step = "parent-death signal"
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() != common.parent:
            os._exit(NOT_STARTED)
        step = "chdir"
        os.chdir(spec["cwd"])
        if "umask" in spec:
            os.umask(spec["umask"])
        if "stdin" in spec:
            step = "stdin"
            standing.read_from(spec["stdin"])
    except OSError as error:
        raise StepError(step, error.errno or 0, _words(error)) from error
    except UnknownAccountError as error:
        raise StepError(step, 0, str(error)) from error
    except ValueError as error:
        raise StepError(step, 0, str(error)) from error
    _reset_signals(common.handled, is_python=not is_command)
    sys.stdin = common.stdin


def _take_descriptors(inherited: Inherited, *, is_command: bool) -> None:
    """Put each where the job expects it, any of which may be number 1 to 4 now, and close all others."""
    by_channel, by_stack = inherited.common.spares
    os.dup2(inherited.channel, by_channel)
    if inherited.stack is not None:
        os.dup2(inherited.stack, by_stack)
    os.dup2(inherited.stdout, 1)
    os.dup2(inherited.stderr, 2)
    os.dup2(by_channel, CHANNEL_FD, is_command)
    if inherited.stack is not None:
        os.dup2(by_stack, STACK_FD, False)
    linux.close_from(CHANNEL_FD + 1 if inherited.stack is None else STACK_FD + 1)


def _words(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)


def _reset_signals(handled: tuple[int, ...], *, is_python: bool) -> None:
    """Undo what the fork server ignores, handles and blocks; an ignored or blocked signal would survive an exec.

    A Python job gets what Python sets up: SIGINT raises KeyboardInterrupt, a broken pipe is an exception. A signal that
    came since the fork has waited, and acts now.
    """
    _signal.set_wakeup_fd(-1)
    for number in handled:
        if not (is_python and number in PYTHONS_OWN):
            _signal.signal(number, _signal.SIG_DFL)
    if is_python:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _exec(spec: Mapping[str, Any], environ: Mapping[str, str]) -> NoReturn:
    argv: list[str] = spec["argv"]
    try:
        os.execvpe(argv[0], argv, {**environ, **spec["env"]})  # noqa: S606  # what the manifest says
    except OSError as error:
        raise StepError("exec", error.errno or 0, f"{error.strerror}: {argv[0]}") from error
    except ValueError as error:
        raise StepError("exec", 0, str(error)) from error


def _run(spec: Mapping[str, Any]) -> None:
    """Call the target, and end as plain Python would: its exit status, its traceback, its exit handlers."""
    interpreter.begin_child()
    args, kwargs = pickle.loads(binascii.a2b_base64(spec["call"])) if "call" in spec else ((), {})  # noqa: S301  # ours
    interrupted = False
    try:
        found = _found(spec)
        if isinstance(found, type):
            Workshop(partial(found, *args, **kwargs), channel(), spec["stop_signal"]).serve()
        else:
            found(*args, **kwargs)
    except (SystemExit, StepError):
        raise
    except BaseException as error:
        _report(error)
        interrupted = isinstance(error, KeyboardInterrupt)
        raise SystemExit(1) from error
    finally:
        interpreter.run_exit_handlers()  # multiprocessing may end a child without them
        if interrupted:
            _die_of_interrupt()


def _found(spec: Mapping[str, Any]) -> Any:
    try:
        return find(Wanted(spec["job"], spec["where"], spec["target"], spec["folder"]))
    except TargetError as error:
        if error.__cause__ is not None:
            _report(error.__cause__)
        raise StepError("import", 0, str(error)) from error.__cause__


def _report(error: BaseException) -> None:
    """Show the traceback, and tell the supervisor: unless this is a fork of the job, which ends for itself."""
    failure.show(error)
    if os.getpid() == os.getsid(0):
        with suppress(OSError):  # the job may have closed the channel
            channel().send("error", **failure.told(error))


def _die_of_interrupt() -> None:
    """End by SIGINT, as Python does after an uncaught KeyboardInterrupt: who waits shall see the signal."""
    interpreter.flush_streams()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
