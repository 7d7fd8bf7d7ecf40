"""A run from its order to the report of its end, and all that goes with it: channel, mailbox, stack, page."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from supervisor.core.actions import Spawn
from supervisor.core.events import EngineFact
from supervisor.core.exits import ErrorRecord, NotStarted
from supervisor.core.job import Run
from supervisor.core.runs import RunId, SlotId
from supervisor.engine.channel import LARGEST_TOLD
from supervisor.engine.generation import Generation
from supervisor.engine.line import Hear, Line
from supervisor.engine.mailbox import HandedMailbox, Mailbox
from supervisor.engine.notify_socket import NotifySocket
from supervisor.engine.reports import Listener, Nobody, RunReport
from supervisor.engine.stack import Stack, stack_pipe
from supervisor.handed import HandedWire
from supervisor.plain import Fd
from supervisor.values import dataclass, field
from supervisor.wire import Message, pair


@dataclass(slots=True, kw_only=True)
class Ordered:
    """What the engine knows and holds of a run."""

    run_id: RunId
    listener: Listener
    message: Message
    channel: Line
    mailbox: Mailbox
    fds: tuple[int, ...]
    """stdout, stderr and the job's ends of channel and stack, until the fork server has made the process."""
    server: Generation | None = None
    """The fork server that was told of it; None while there is none that serves."""
    slot: SlotId | None = None
    """None for a probe."""
    stack: Stack | None = None
    """None where there is no stack to be had: a command, a probe."""
    page: int | None = None
    """The descriptor of the page on which it writes its progress."""
    later: list[Message] = field(default_factory=list)
    """Stops and kills that came before the process did."""
    early: list[Message] = field(default_factory=list)
    """What the process said before the fork server told of it."""
    pid: int | None = None
    pidfd: int | None = None
    notify_socket: NotifySocket | None = None

    def made(self, pid: int, pidfd: int | None) -> None:
        """Note that the process exists, which has its descriptors now."""
        self.pid, self.pidfd = pid, pidfd
        if self.notify_socket is not None:
            self.notify_socket.pid = pid
        close_all(self.fds)
        self.fds = ()

    def dump(self, told: Callable[[str], None]) -> bool:
        """Have the stacks of its threads told, within about a second; False where there are none to be had."""
        if self.stack is None or self.pid is None or self.pidfd is None:
            return False
        self.stack.ask(self.pid, self.pidfd, told)
        return True

    def turn(self, page: int) -> None:
        """Read its progress from another page."""
        close_all([self.page] if self.page is not None else [])
        self.page = page

    def drain(self) -> None:
        """Hear everything that it has said by now."""
        self.channel.drain()
        if self.notify_socket is not None:
            self.notify_socket.drain()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of all that goes with it; whoever still waits for an answer is told that there will be none."""
        self.channel.close()
        if self.notify_socket is not None:
            self.notify_socket.close()
        self.mailbox.close()
        if self.stack is not None:
            self.stack.close()
        close_all([*self.fds, *([self.page] if self.page is not None else [])])
        if self.pidfd is not None:
            loop.remove_reader(self.pidfd)
            os.close(self.pidfd)


def ordered(  # each by its name
    loop: asyncio.AbstractEventLoop,
    message: Message,
    listener: Listener,
    output: tuple[int, int],
    *,
    hear: Hear,
    warn: Callable[[str], None],
    spawn: Spawn | None = None,
    notify_socket: NotifySocket | None = None,
) -> Ordered:
    """Return a run with its channel, and with a stack where its job is Python; ``hear`` takes what it says.

    Raises:
        OSError: there are no descriptors left; nothing has been closed.
    """
    run_id: RunId = message["run_id"]
    with ExitStack() as undo:
        ours, theirs = (undo.enter_context(end) for end in pair())
        dumps, job_end = stack_pipe() if spawn is not None and isinstance(spawn.job.target, Run) else (None, None)
        undo.pop_all()
    channel = _channel(loop, run_id, ours, hear, warn)
    return Ordered(
        run_id=run_id,
        listener=listener,
        message=message,
        channel=channel,
        mailbox=Mailbox(loop, channel.put),
        fds=(*output, theirs.detach(), *([job_end] if job_end is not None else [])),
        slot=spawn.run.slot if spawn is not None else None,
        stack=None if dumps is None else Stack(loop, dumps),
        notify_socket=notify_socket,
    )


def _channel(
    loop: asyncio.AbstractEventLoop, run_id: RunId, sock: socket.socket, hear: Hear, warn: Callable[[str], None]
) -> Line:
    return Line(
        loop,
        sock,
        hear=hear,
        hung_up=lambda problem: warn(f"run {run_id}: its channel is closed: {problem}") if problem else None,
        largest=LARGEST_TOLD,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedRun:
    """What of a run crosses an exec. Its fork server is named by its place among those that cross too."""

    run_id: RunId
    message: Any
    channel: HandedWire
    mailbox: HandedMailbox
    fds: tuple[Fd, ...]
    server: int | None
    slot: SlotId | None
    stack: Fd | None
    page: Fd | None
    later: tuple[Any, ...]
    early: tuple[Any, ...]
    pid: int | None
    pidfd: Fd | None
    notify_socket: Fd | None
    error: ErrorRecord | None
    not_started: NotStarted | None


def hand_over(run: Ordered, server: int | None) -> HandedRun:
    """Return a run as it stands. A dump of its stacks that is under way is told first, as far as it has come."""
    if run.stack is not None:
        run.stack.settle()
    heard = run.listener if isinstance(run.listener, RunReport) else None
    return HandedRun(
        run_id=run.run_id,
        message=run.message,
        channel=run.channel.hand_over(),
        mailbox=run.mailbox.hand_over(),
        fds=tuple(map(Fd, run.fds)),
        server=server,
        slot=run.slot,
        stack=None if run.stack is None else Fd(run.stack.fd),
        page=None if run.page is None else Fd(run.page),
        later=tuple(run.later),
        early=tuple(run.early),
        pid=run.pid,
        pidfd=None if run.pidfd is None else Fd(run.pidfd),
        notify_socket=None if run.notify_socket is None else Fd(run.notify_socket.fd),
        error=heard.error if heard else None,
        not_started=heard.not_started if heard else None,
    )


def take_over(
    loop: asyncio.AbstractEventLoop,
    handed: HandedRun,
    *,
    server: Generation | None,
    report: Callable[[EngineFact], None],
    hear: Callable[[Ordered, Message, list[int]], None],
    warn: Callable[[str], None],
) -> Ordered:
    """Return a run that goes on where it stood before the exec."""
    listener: Listener = Nobody()
    if handed.run_id > 0:
        listener = own = RunReport(handed.run_id, report)
        own.error, own.not_started = handed.error, handed.not_started
    sock = socket.socket(fileno=handed.channel.fd)
    channel = _channel(loop, handed.run_id, sock, lambda message, fds: hear(run, message, fds), warn)
    channel.take_over(handed.channel)
    mailbox = Mailbox(loop, channel.put)
    mailbox.take_over(handed.mailbox)
    run = Ordered(
        run_id=handed.run_id,
        listener=listener,
        message=handed.message,
        channel=channel,
        mailbox=mailbox,
        fds=handed.fds,
        server=server,
        slot=handed.slot,
        stack=None if handed.stack is None else Stack(loop, handed.stack),
        page=handed.page,
        later=list(handed.later),
        early=list(handed.early),
        pid=handed.pid,
        pidfd=handed.pidfd,
    )
    if handed.notify_socket is not None:
        run.notify_socket = NotifySocket(loop, lambda message: hear(run, message, []), handed.notify_socket)
        run.notify_socket.pid = handed.pid
    return run


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
