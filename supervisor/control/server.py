"""The server of the control socket: newline-delimited JSON, peers checked, lines and buffers bounded.

Nothing a client sends or leaves undone delays supervision: each connection has its own bounds, and one that crosses
them is told why, where it still listens, and dropped.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.control.address import address
from supervisor.errors import ControlError

LONGEST_LINE = 1024 * 1024
MOST_UNSENT = 4 * 1024 * 1024
MOST_CONNECTIONS = 256
MOST_REQUESTS = 32
"""Requests of one connection that are answered at the same time; further ones wait unread."""

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]
_CREDENTIALS = struct.Struct("3i")


class ControlServer:
    """Listens on one path, which the caller has made sure no other supervisor uses."""

    def __init__(self, path: str, handle: Handler, *, warn: Callable[[str], None]) -> None:
        self.path = path
        self._handle = handle
        self._warn = warn
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, None] = {}

    async def start(self) -> None:
        """Bind the socket, 0600 whatever the umask; what a dead supervisor left there is replaced.

        Raises:
            OSError: the path cannot be bound.
        """
        Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        os.fchmod(sock.fileno(), 0o600)  # the file that bind makes takes this mode, less the umask (unix(7))
        with address(self.path) as bindable:
            sock.bind(bindable)
        os.chmod(self.path, 0o600)
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=LONGEST_LINE, backlog=128)

    async def close(self) -> None:
        """Stop listening and end every connection, after what it still has to send."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            await connection.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, self._handle, self._warn)
        if not _is_allowed(writer):
            connection.reply({"id": None, "error": {"code": 1, "message": "not allowed: only root and the owner are"}})
            await connection.close()
            return
        while len(self._connections) >= MOST_CONNECTIONS:
            idle = next((other for other in self._connections if other.is_idle), next(iter(self._connections)))
            del self._connections[idle]
            idle.drop()
        self._connections[connection] = None
        try:
            await connection.serve()
        finally:
            self._connections.pop(connection, None)
            await connection.close()


def _is_allowed(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the peer is root or our own user (SO_PEERCRED, unix(7))."""
    sock = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid in {0, os.geteuid()}


class _Connection:
    """One client: reads requests, answers them side by side, bounded in every direction."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handle: Handler,
        warn: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._warn = warn
        self._requests: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """True while no request is being answered."""
        return not self._requests

    async def serve(self) -> None:
        """Answer requests until the client is done or out of bounds."""
        try:
            while line := await self._reader.readuntil():
                await self._take(line)
        except asyncio.IncompleteReadError as rest:
            if rest.partial.strip():
                self._refuse(None, "a request ends with a newline")
        except asyncio.LimitOverrunError:
            self._refuse(None, "a line is longer than 1 MiB")
            return
        except ConnectionError:
            return
        if self._requests:
            await asyncio.wait(self._requests)

    async def _take(self, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            self._refuse(None, f"not JSON: {error}")
            return
        match request:
            case {"method": str(method)} if isinstance(request.get("params", {}), dict):
                while len(self._requests) >= MOST_REQUESTS:
                    await asyncio.wait(self._requests, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._answer(request.get("id"), method, request.get("params", {})))
                self._requests.add(task)
                task.add_done_callback(self._requests.discard)
            case _:
                ident = request.get("id") if isinstance(request, dict) else None
                self._refuse(ident, 'a request is {"id": …, "method": "…", "params": {…}}')

    async def _answer(self, ident: Any, method: str, params: dict[str, Any]) -> None:
        try:
            result = await self._handle(method, params)
            if isinstance(result, AsyncIterator):
                async for part in result:
                    self.reply({"id": ident, "result": part})
                    await self._writer.drain()
                self.reply({"id": ident, "end": True})
            else:
                self.reply({"id": ident, "result": result})
        except ControlError as error:
            self.reply({"id": ident, "error": {"code": error.code, "message": str(error)}})
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001  # a request that fails must not end the supervisor
            self._warn(f"control: {method}: {type(error).__name__}: {error}")
            self.reply(
                {"id": ident, "error": {"code": 1, "message": f"internal error: {type(error).__name__}: {error}"}}
            )

    def _refuse(self, ident: Any, why: str) -> None:
        self.reply({"id": ident, "error": {"code": 2, "message": why}})

    def reply(self, message: dict[str, Any]) -> None:
        """Send a line; a client that reads too slowly is dropped."""
        if self._writer.is_closing():
            return
        self._writer.write(json.dumps(message).encode() + b"\n")
        if self._writer.transport.get_write_buffer_size() > MOST_UNSENT:
            self.drop()

    def drop(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End the connection after what it still has to send, if the client takes it within a second."""
        if self._requests:
            await asyncio.wait(self._requests, timeout=1)
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), 1)
        except (TimeoutError, OSError):
            self.drop()
