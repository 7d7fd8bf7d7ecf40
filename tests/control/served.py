"""A control server in a thread with a loop of its own, and plain sockets that speak to it."""

import asyncio
import json
import select
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from supervisor.control.address import address
from supervisor.control.server import ControlServer

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Served:
    """A running server, and what it has warned of."""

    def __init__(self, path: Path, handle: Handler) -> None:
        self.path = str(path)
        self.warnings: list[str] = []
        self._server = ControlServer(self.path, handle, warn=self.warnings.append)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        self._do(self._server.start())

    def close(self) -> None:
        self._do(self._server.close())

    def end(self) -> None:
        self._do(self._left())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def connect(self) -> "Peer":
        sock = socket.socket(socket.AF_UNIX)
        with address(self.path) as reachable:
            sock.connect(reachable)  # blocking: where the backlog is full, a socket with a timeout fails at once
        sock.settimeout(20)
        return Peer(sock)

    async def _left(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


class Peer:
    """One connection, as a context."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lines = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.sock.close()

    def send(self, method: str, ident: Any = 1, **params: Any) -> None:
        self.sock.sendall(json.dumps({"id": ident, "method": method, "params": params}).encode() + b"\n")

    def reply(self) -> Any:
        """Return the next line, None at the end."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def ask(self, method: str, **params: Any) -> Any:
        self.send(method, **params)
        return self.reply()["result"]

    @property
    def is_hung_up(self) -> bool:
        """True once the server has ended the connection."""
        poll = select.poll()
        poll.register(self.sock, select.POLLHUP)
        return bool(poll.poll(0))


@contextmanager
def served(path: Path, handle: Handler) -> Iterator[Served]:
    """Serve while the context lasts."""
    server = Served(path, handle)
    try:
        server.start()
        yield server
    finally:
        server.close()
        server.end()
