"""A run from its order to the report of its end, and all that goes with it: channel, mailbox, stack, page."""

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from supervisor.core.actions import Spawn
from supervisor.core.job import Run
from supervisor.core.runs import RunId, SlotId
from supervisor.engine.channel import LARGEST_TOLD
from supervisor.engine.generation import Generation
from supervisor.engine.line import Hear, Line
from supervisor.engine.mailbox import Mailbox
from supervisor.engine.notify_socket import NotifySocket
from supervisor.engine.reports import Listener
from supervisor.engine.stack import Stack
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
        stack = Stack(loop) if spawn is not None and isinstance(spawn.job.target, Run) else None
        undo.pop_all()
    channel = Line(
        loop,
        ours,
        hear=hear,
        hung_up=lambda problem: warn(f"run {run_id}: its channel is closed: {problem}") if problem else None,
        largest=LARGEST_TOLD,
    )
    return Ordered(
        run_id=run_id,
        listener=listener,
        message=message,
        channel=channel,
        mailbox=Mailbox(loop, channel.put),
        fds=(*output, theirs.detach(), *([stack.job_end] if stack is not None else [])),
        slot=spawn.run.slot if spawn is not None else None,
        stack=stack,
        notify_socket=notify_socket,
    )


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
