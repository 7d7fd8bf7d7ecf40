"""Messages to the service manager, as sd_notify(3) says them, without ever waiting for it."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

MOST_WAITING = 32
"""Messages; the oldest is dropped for one more."""


def address_of(variable: str) -> str | None:
    """Return the socket address that NOTIFY_SOCKET means: a path, or ``@name`` for an abstract one; None is neither."""
    if variable.startswith("@"):
        return "\0" + variable[1:]
    return variable if variable.startswith("/") else None


class NotifySocket:
    """Sends datagrams of ``NAME=value`` lines. What is not taken waits, for the newest of its kind."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str, *, warn: Callable[[str], None]) -> None:
        self._loop = loop
        self._address = address
        self._warn = warn
        self._sock: socket.socket | None = None
        self._waiting: list[tuple[str, ...]] = []
        self._is_blocked = False
        self._is_known_dead = False

    def say(self, *lines: str) -> None:
        """Send a message; one of the same kind (by its first name) that still waits is left out."""
        kind = lines[0].partition("=")[0]
        waiting = [message for message in self._waiting if message[0].partition("=")[0] != kind]
        self._waiting = [*waiting, lines][-MOST_WAITING:]
        if not self._is_blocked:
            self._flush()

    def close(self) -> None:
        """Send what the manager takes now, and no more."""
        self._flush()
        self._hang_up()
        self._waiting.clear()

    def _flush(self) -> None:
        while self._waiting:
            try:
                self._connected().send("\n".join(self._waiting[0]).encode())
            except BlockingIOError:
                self._wait_for_room()
                return
            except OSError as error:
                self._hang_up()
                if not self._is_known_dead:
                    self._warn(f"the service manager cannot be told how we are: {error.strerror or error}")
                self._is_known_dead = True
                return
            self._is_known_dead = False
            del self._waiting[0]

    def _connected(self) -> socket.socket:
        """Return the socket, connected: so a full queue at its other end can be waited for (unix(7))."""
        if self._sock is None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sock.setblocking(False)
            self._sock.connect(self._address)
        return self._sock

    def _wait_for_room(self) -> None:
        if self._sock is not None and not self._is_blocked:
            self._is_blocked = True
            self._loop.add_writer(self._sock, self._room)

    def _room(self) -> None:
        self._stop_waiting()
        self._flush()

    def _stop_waiting(self) -> None:
        if self._sock is not None and self._is_blocked:
            self._loop.remove_writer(self._sock)
        self._is_blocked = False

    def _hang_up(self) -> None:
        self._stop_waiting()
        if self._sock is not None:
            with suppress(OSError):
                self._sock.close()
        self._sock = None
