"""A run's own $NOTIFY_SOCKET: how a program in any language says that it is ready or alive (sd_notify(3))."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from supervisor.wire import Message

_LARGEST = 4096
MOST_AT_ONCE = 512
"""Datagrams that are heard in one turn of the loop, so that nobody who goes on sending holds it up; a socket holds
fewer by default (net.unix.max_dgram_qlen)."""
_CREDENTIALS = struct.Struct("iII")
"""struct ucred of unix(7): pid, uid, gid."""
_KINDS = {"READY=1": "ready", "WATCHDOG=1": "heartbeat"}


class NotifySocket:
    """The socket of one run. It has an abstract address, so there is no file that anybody must clean up.

    Anybody could send there, so the kernel tells who did (SO_PASSCRED): root, our own user and the job's are heard.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hear: Callable[[Message], None], fd: int | None = None) -> None:
        """Open it, or take over ``fd``; ``hear`` takes what the run says, as if it came over its channel.

        Raises:
            OSError: there are no descriptors left.
        """
        self._loop = loop
        self._hear = hear
        self.pid: int | None = None
        """The run's first process, once it is known."""
        self._sock = _opened() if fd is None else socket.socket(fileno=fd)
        self._sock.setblocking(False)
        loop.add_reader(self._sock, self._listen)

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    @property
    def address(self) -> str:
        """What the variable says: ``@`` stands for the first byte of an abstract address."""
        name: bytes = self._sock.getsockname()
        return "@" + name[1:].decode()

    def drain(self) -> None:
        """Hear what has come by now."""
        for _ in range(MOST_AT_ONCE):
            if self._sock.fileno() < 0 or not self._listen():
                return

    def close(self) -> None:
        """Hear no more."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _listen(self) -> bool:
        """Hear one datagram; tell whether there was one."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(
                _LARGEST, socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        sender: int | None = None
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                _, sender, _ = _CREDENTIALS.unpack(content)
            elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for (fd,) in struct.iter_unpack("i", content[: len(content) // 4 * 4]):
                    os.close(fd)
        if sender in self._heard:
            for line in data.decode(errors="replace").splitlines():
                if line in _KINDS:
                    self._hear({"kind": _KINDS[line]})
        return True

    @property
    def _heard(self) -> set[int]:
        users = {0, os.geteuid()}
        if self.pid is not None:
            with suppress(FileNotFoundError):
                users.add(Path(f"/proc/{self.pid}").stat().st_uid)
        return users


def _opened() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    sock.bind("")
    return sock
