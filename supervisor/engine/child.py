"""The life of a job's process, from the fork to the job's own first line, and from its last to the exit status.

The order of the steps matters: the death signal is set after anything that could change the user (a change of uid or
gid clears it, prctl(2)), and the parent is compared after it, in case the fork server died in between. A step that
fails is told over the channel as a start failure with errno and words.
"""

import binascii
import os
import pickle
import signal
import socket
import sys
from _signal import (  # type: ignore[import-not-found]  # what ``signal`` wraps, without the enums that it makes
    SIG_DFL,
    SIG_SETMASK,
    SIGINT,
    SIGKILL,
    default_int_handler,
    pthread_sigmask,
    set_wakeup_fd,
)
from _signal import signal as set_handler
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from os import chdir, dup2, getppid, putenv, setsid
from resource import RLIMIT_NOFILE, setrlimit
from typing import Any, NamedTuple, NoReturn, TextIO

from supervisor.accounts import UnknownAccountError
from supervisor.engine import cgroups, failure, interpreter, standing
from supervisor.engine.agreed import CHANNEL_FD, STACK_FD
from supervisor.engine.channel import Channel
from supervisor.engine.targets import TargetError, Wanted, find
from supervisor.engine.workshop import Workshop
from supervisor.linux import close_from, die_with_parent

PYTHONS_OWN = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores at its start."""
NOT_STARTED = 127
"""The exit status of a process whose start failed; what failed is told over the channel."""


class Common(NamedTuple):
    """What every child has from the fork server; what can be found out there once is not found out in each child."""

    parent: int
    run_id_slot: memoryview
    """Where the run's id goes in the environment that /proc shows."""
    command_line: memoryview
    environ: Mapping[str, str]
    """What the environment of a ``command`` starts from; a Python job has the fork server's ``os.environ``."""
    environ_table: dict[bytes, bytes]
    """What ``os.environ`` keeps of itself."""
    encoding: str
    """Of the environment."""
    nofile: tuple[int, int]
    """Soft and hard limit of open files."""
    stdin: TextIO
    spares: tuple[int, int]
    """Two descriptors above all that the child keeps, to move the others by."""
    handled: tuple[int, ...]
    """Signals whose disposition in the fork server is not the default."""


class Inherited(NamedTuple):
    """What one child has from the fork server."""

    stdout: int
    stderr: int
    channel: int
    stack: int | None
    """None for a command, which would die of the signal, and for a probe."""
    run_id: bytes
    """As it fits its slot; so does the title."""
    title: bytes
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

    Every page that a child writes to is copied, some 2 us each, and each function that it is the first to call is such
    a page or two, each attribute that it is the first to look up up to three (the entry of CPython's cache of types,
    the name that it had, the name that it gets): the straight line below is short, and made of plain names, on purpose.
    The fork server's objects are never finalized here (the process ends by ``_exit``), so their descriptors are closed
    by number.
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
    stdout, stderr, channel_, stack, run_id, title, common, cgroup = inherited
    parent, run_id_slot, command_line, _, environ_table, encoding, nofile, stdin, spares, handled = common
    step = "session"
    try:
        setsid()
        step = "descriptors"
        _take_descriptors(stdout, stderr, channel_, stack, spares, is_command=is_command)
        if cgroup is not None:
            step = "cgroup"
            cgroups.join(cgroup)
        step = "environment"
        run_id_slot[:] = run_id
        if not is_command:
            command_line[:] = title
        for name, value in spec["env"].items():  # as ``os.environ`` does it, without its functions
            key, content = name.encode(encoding, "surrogateescape"), value.encode(encoding, "surrogateescape")
            putenv(key, content)
            environ_table[key] = content
        if "nice" in spec:
            step = "nice"
            standing.set_priority(spec["nice"])
        step = "limits"
        setrlimit(RLIMIT_NOFILE, nofile)
        if "rlimits" in spec:
            standing.limit(spec["rlimits"])
        if "user" in spec or "group" in spec:
            step = "user"
            standing.change_user(spec)
        step = "parent-death signal"
        die_with_parent(SIGKILL)
        if getppid() != parent:
            os._exit(NOT_STARTED)
        step = "chdir"
        chdir(spec["cwd"])
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
    _reset_signals(handled, is_python=not is_command)
    sys.stdin = stdin


def _take_descriptors(
    stdout: int, stderr: int, channel: int, stack: int | None, spares: tuple[int, int], *, is_command: bool
) -> None:
    """Put each where the job expects it, any of which may be number 1 to 4 now, and close all others."""
    by_channel, by_stack = spares
    dup2(channel, by_channel)
    if stack is not None:
        dup2(stack, by_stack)
    dup2(stdout, 1)
    dup2(stderr, 2)
    dup2(by_channel, CHANNEL_FD, is_command)
    if stack is not None:
        dup2(by_stack, STACK_FD, False)
    close_from(CHANNEL_FD + 1 if stack is None else STACK_FD + 1)


def _words(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)


def _reset_signals(handled: tuple[int, ...], *, is_python: bool) -> None:
    """Undo what the fork server ignores, handles and blocks; an ignored or blocked signal would survive an exec.

    A Python job gets what Python sets up: SIGINT raises KeyboardInterrupt, a broken pipe is an exception. A signal that
    came since the fork has waited, and acts now.
    """
    set_wakeup_fd(-1)
    for number in handled:
        if not (is_python and number in PYTHONS_OWN):
            set_handler(number, SIG_DFL)
    if is_python:
        set_handler(SIGINT, default_int_handler)
    pthread_sigmask(SIG_SETMASK, ())


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
