"""Messages between the supervisor and the processes it has exec'd: JSON objects with descriptors, never blocking.

A SOCK_SEQPACKET pair keeps message boundaries, so a reader needs no buffer. Messages wait in an out-queue until
``flush``, which packs as many into a datagram as fit: a burst of starts costs few system calls. A datagram too large
for the socket travels in a memfd. Descriptors are received close-on-exec (MSG_CMSG_CLOEXEC, recvmsg(2);
``socket.recv_fds`` leaves them inheritable).
"""

import array
import errno
import fcntl
import json
import os
import select
import socket
from collections import deque
from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in ``typing``, whose import would be a tenth of the log process
    from typing import Any

LARGEST = 60_000
"""Bytes of a datagram; Linux takes at least 200 kB by default."""
MOST_FDS = 120
"""Descriptors with one datagram; Linux takes 253 (SCM_MAX_FD, unix(7))."""
LARGEST_BODY = 256 * 1024 * 1024
"""Bytes in a memfd that are taken from a peer; one that is not trusted with so much gets a limit of its own."""
_GET_SEALS = 1034
"""F_GET_SEALS, fcntl(2)."""

_LATER = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS})
_IN_MEMFD = b"@"
_encode = json.JSONEncoder(separators=(",", ":")).encode

Message = dict[str, "Any"]

Unsent = tuple[bytes, tuple[int, ...], bool]
"""A message that waits to be sent: its text, its descriptors, and whether these are only lent."""


class Wire:
    """One end of a pair."""

    def __init__(self, sock: socket.socket, *, largest: int = LARGEST_BODY) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._largest = largest
        self.unsent: deque[Unsent] = deque()

    def fileno(self) -> int:
        """Return the socket's descriptor, for epoll or an event loop."""
        return self.sock.fileno()

    @property
    def has_waiting(self) -> bool:
        """True while something waits to be sent."""
        return bool(self.unsent)

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return len(self.unsent)

    def put(self, message: Message, fds: Sequence[int] = (), *, lent: bool = False) -> None:
        """Queue a message for the next ``flush``; it carries how many of the datagram's descriptors are its own.

        The descriptors are duplicated, unless they are only ``lent``: then they stay open until the peer has answered.

        Raises:
            OSError: a descriptor could not be duplicated.
        """
        if fds:
            message["fds"] = len(fds)
        own = tuple(fds) if lent else tuple(os.dup(fd) for fd in fds)
        self.unsent.append((_encode(message).encode(), own, lent))

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it.

        Raises:
            ConnectionError: the peer is gone.
        """
        while self.unsent:
            count, data, fds = self._packed()
            if not self._try(data, fds):
                return
            for _ in range(count):
                self._drop_first()

    def _packed(self) -> tuple[int, bytes, list[int]]:
        """Return how many of the waiting messages go into the next datagram, and that datagram."""
        bodies: list[bytes] = []
        fds: list[int] = []
        size = 0
        for body, own, _ in self.unsent:
            if bodies and (size + len(body) > LARGEST or len(fds) + len(own) > MOST_FDS):
                break
            bodies.append(body)
            fds += own
            size += len(body) + 1
        return len(bodies), b"[%b]" % b",".join(bodies), fds

    def _try(self, data: bytes, fds: list[int]) -> bool:
        if len(data) <= LARGEST + 2:
            return self._sent(data, fds)
        body = os.memfd_create("message", os.MFD_CLOEXEC)
        try:
            _write_all(body, data)
            return self._sent(_IN_MEMFD, [body, *fds])
        finally:
            os.close(body)

    def _sent(self, data: bytes, fds: list[int]) -> bool:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], rights)
        except OSError as error:
            if error.errno in _LATER:
                return False
            raise
        return True

    def wait(self) -> None:
        """Return when something has come, whatever the descriptor's number: select(2) takes none over 1023."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.poll()

    def receive(self) -> list[tuple[Message, list[int]]]:
        """Return the messages of the next datagram, each with its descriptors; none where none has come.

        A process that has no descriptor left gets fewer than were sent: who needs them looks.

        Raises:
            EOFError: the peer is gone, and everything that it sent has been read.
            ValueError: what came is not what ``flush`` sends; its descriptors are closed.
        """
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(
                LARGEST + 2, socket.CMSG_SPACE(4 * (MOST_FDS + 1)), socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return self.receive()  # a peer that left something unread: told once, before what it has said (measured)
        fds = _descriptors(ancillary)
        if not data:
            raise EOFError
        try:
            is_whole = not flags & socket.MSG_CTRUNC
            return _unpacked(_from_memfd(fds, self._largest) if data == _IN_MEMFD else data, fds, is_whole=is_whole)
        except (ValueError, IndexError, OSError, RecursionError) as error:
            for fd in fds:
                os.close(fd)
            raise ValueError(f"a malformed message: {data[:80]!r}") from error

    def close(self) -> None:
        """Close the socket and every descriptor that still waits."""
        self.sock.close()
        while self.unsent:
            self._drop_first()

    def _drop_first(self) -> None:
        _, fds, lent = self.unsent.popleft()
        if not lent:
            for fd in fds:
                os.close(fd)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair of message sockets, both close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    received = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
    return received.tolist()


def _from_memfd(fds: list[int], largest: int) -> bytes:
    body = fds.pop(0)
    try:
        if not is_in_memory(body):
            raise ValueError("a body that is not in memory")
        size = os.fstat(body).st_size
        if size > largest:
            raise ValueError(f"{size} bytes, at most {largest} are taken")
        return os.pread(body, size, 0)
    finally:
        os.close(body)


def is_in_memory(fd: int) -> bool:
    """Tell whether a descriptor that a peer sent is of a memfd: it has seals, and no disk holds up who reads it."""
    try:
        fcntl.fcntl(fd, _GET_SEALS)
    except OSError:
        return False
    return True


def is_pipe(fd: int) -> bool:
    """Tell whether a descriptor that a peer sent is of a pipe: nothing else has a size of its own (fcntl(2))."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    except OSError:
        return False
    return True


def _unpacked(data: bytes, fds: list[int], *, is_whole: bool) -> list[tuple[Message, list[int]]]:
    messages: list[tuple[Message, list[int]]] = []
    at = 0
    received = json.loads(data)
    if not isinstance(received, list):
        raise ValueError("no list of messages")  # noqa: TRY004  # what a peer sends is a value, not a type
    for message in received:
        count = message.get("fds", 0) if isinstance(message, dict) else None
        if type(count) is not int or count < 0:
            raise ValueError("no message, or no count of descriptors")
        messages.append((message, fds[at : at + count]))
        at += count
    if at != len(fds) and is_whole:
        raise ValueError("descriptors that no message names")
    return messages


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
