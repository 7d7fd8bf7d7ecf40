"""What of a wire and of a process beside the supervisor crosses an exec."""

import socket

from supervisor.helpers import Helper, Inherited
from supervisor.plain import Fd
from supervisor.values import dataclass
from supervisor.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedMessage:
    """A message that waits to be sent."""

    text: str
    fds: tuple[Fd, ...]
    lent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedWire:
    """Our end of a pair. What the peer says meanwhile waits in the socket."""

    fd: Fd
    waiting: tuple[HandedMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedHelper:
    """A process of ours, still our child after the exec."""

    pid: int
    wire: HandedWire


def hand_over(wire: Wire) -> HandedWire:
    """Return a wire as a value."""
    waiting = (HandedMessage(text=body.decode(), fds=tuple(map(Fd, fds)), lent=lent) for body, fds, lent in wire.unsent)
    return HandedWire(fd=Fd(wire.fileno()), waiting=tuple(waiting))


def take_over(handed: HandedWire, wire: Wire) -> None:
    """Have what was still to be sent sent by the wire that took the socket over."""
    wire.unsent.extend((each.text.encode(), each.fds, each.lent) for each in handed.waiting)


def helper(handed: HandedHelper) -> Helper:
    """Return a process as who serves it knows it."""
    return Helper(Inherited(handed.pid), socket.socket(fileno=handed.wire.fd))
