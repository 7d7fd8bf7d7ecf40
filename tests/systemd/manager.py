"""A service manager as far as sd_notify(3) goes: a datagram socket, and what has come there."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from conftest import eventually


class Manager:
    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self) -> list[str]:
        """Return all messages so far."""
        with suppress(BlockingIOError):
            while True:
                self.messages.append(self._sock.recv(64 * 1024).decode())
        return self.messages

    def eventually(self, wanted: Callable[[str], bool] | str, *, after: int = 0) -> int:
        """Wait for a message, counted from a place on; return the place behind it."""
        is_it = wanted.__eq__ if isinstance(wanted, str) else wanted

        def place() -> int:
            return next((number for number, each in enumerate(self.hear()) if number >= after and is_it(each)), -1) + 1

        return eventually(place)

    def fill(self) -> None:
        """Fill the queue, as a manager that does not read would have it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
            sender.setblocking(False)
            while True:
                sender.sendto(b"FILL=1", "\0" + self.address[1:] if self.address.startswith("@") else self.address)

    def close(self) -> None:
        self._sock.close()


@contextmanager
def manager(folder: Path, address: str | None = None) -> Iterator[Manager]:
    """Give a manager on a socket in a folder, or on another address."""
    made = Manager(address or str(folder / "notify.sock"))
    try:
        yield made
    finally:
        made.close()
