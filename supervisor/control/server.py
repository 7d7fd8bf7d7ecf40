"""The server of the control socket: listens, checks its peers, and bounds their number.

Nothing a client sends or leaves undone delays supervision: each connection has bounds of its own, and one that crosses
them is told why, where it still listens, and dropped.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.control.address import address
from supervisor.control.connection import FAREWELL, LONGEST_LINE, Again, Connection, Handler
from supervisor.control.peers import Peers
from supervisor.control.turnstile import Turnstile
from supervisor.errors import JobvisorError
from supervisor.plain import Fd
from supervisor.values import dataclass

MOST_CONNECTIONS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedSocket:
    """The listening socket, and which file it has."""

    fd: Fd
    path: str
    inode: int


class ControlServer:
    """Listens on one path. Who may take it over from a dead supervisor is settled before: by the lock of the state."""

    def __init__(
        self, path: str, handle: Handler, *, warn: Callable[[str], None], group: str | int | None = None
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        """Sentences about who cannot reach it and should."""
        self._group = group
        self._peers = Peers()
        self._handle = handle
        self._warn = warn
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._turnstile: Turnstile | None = None
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Bind the socket, 0600 whatever the umask, 0660 with a group; what a dead supervisor left there is replaced.

        Raises:
            JobvisorError: the path cannot be bound, is no socket, or somebody listens there; there is no such group, or
                it cannot be given to it.
        """
        self._peers = Peers(self._group)
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with address(self.path) as bindable:
                self._make_way(bindable)
                sock = _bound(bindable)
                self._admit(sock)
                self._inode = os.stat(self.path).st_ino
                self._server = await asyncio.start_unix_server(
                    self._connected, sock=sock, limit=LONGEST_LINE, backlog=128
                )
        except OSError as error:
            raise JobvisorError(
                f"cannot listen on the control socket {self.path}: {error.strerror or error}"
            ) from error

    def hand_over(self) -> HandedSocket:
        """Return the socket. Clients that are connected have to come again; those that come meanwhile wait in it."""
        assert self._server is not None
        assert self._inode is not None
        return HandedSocket(fd=Fd(self._server.sockets[0].fileno()), path=self.path, inode=self._inode)

    def send_on(self, again: Again) -> None:
        """Have clients that wait for an answer ask again, on a new connection."""
        for connection in self._connections:
            connection.send_on(again)

    async def take_over(self, handed: HandedSocket) -> None:
        """Listen on the socket that crossed an exec, in the place of ``start``."""
        self._peers = Peers(self._group)
        self.path, self._inode = handed.path, handed.inode
        sock = socket.socket(fileno=handed.fd)
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=LONGEST_LINE, backlog=128)

    async def close(self) -> None:
        """Stop listening and end every connection, after what it still has to send."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(connection.close() for connection in self._connections))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FAREWELL)
        with suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)

    def _admit(self, sock: socket.socket) -> None:
        try:
            self._peers.admit(self.path)
        except BaseException:
            sock.close()
            os.unlink(self.path)
            raise
        self.warnings = self._peers.closed_folders(self.path)

    def _make_way(self, reachable: str) -> None:
        """Remove a socket that nobody listens on."""
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise JobvisorError(
                f"cannot listen on the control socket {self.path}: a file that is no socket is there; "
                "move it away, or name another place in [supervisor]"
            )
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(reachable)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
            except BlockingIOError:  # its backlog is full: somebody holds it
                pass
        raise JobvisorError(
            f"cannot listen on the control socket {self.path}: another supervisor does, of another state_dir; "
            "give each a socket of its own"
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        turnstile = self._turnstile = self._turnstile or Turnstile()
        connection = Connection(reader, writer, self._handle, self._warn, turnstile)
        is_allowed = self._peers.has(writer.get_extra_info("socket"))
        if is_allowed and len(self._connections) >= MOST_CONNECTIONS:
            self._drop_one()
        self._connections.add(connection)
        try:
            if is_allowed:
                await connection.serve()
            else:
                connection.refuse(None, f"not allowed: only {self._peers} are")
        finally:
            await connection.close()
            self._connections.discard(connection)

    def _drop_one(self) -> None:
        """Drop the connection that has been silent for longest; one that waits for an answer only if all do."""
        dropped = min(self._connections, key=lambda each: (not each.is_idle, each.heard_at))
        self._connections.discard(dropped)
        dropped.drop()


def _bound(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        os.fchmod(sock.fileno(), 0o600)  # the file that bind makes takes this mode, less the umask (unix(7))
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock
