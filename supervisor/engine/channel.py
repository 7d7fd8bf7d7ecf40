"""The job's end of its channel: one SOCK_SEQPACKET socket to the supervisor, JSON messages both ways.

From the job: ``start_failed``, ``error``, ``serving``, ``ticked``. To the job: ``tick``, ``stop``.
"""

import json
import select
import socket
from collections import deque
from contextlib import suppress
from typing import Any

LARGEST = 60_000


class Channel:
    """Sends and receives for one job. A supervisor that is gone is no error here: the job is about to end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._received: deque[dict[str, Any]] = deque()

    @property
    def has_received(self) -> bool:
        """True while messages that have come wait to be taken."""
        return bool(self._received)

    def send(self, kind: str, **fields: object) -> None:
        """Send a message; it waits where the supervisor is slow, and is dropped where it is gone."""
        data = json.dumps([{"kind": kind, **fields}], separators=(",", ":")).encode()
        with suppress(ConnectionError):
            self.sock.sendall(data)

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Return the next message; None after ``timeout`` seconds without one.

        Raises:
            EOFError: the supervisor is gone.
        """
        if self._received:
            return self._received.popleft()
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            return None
        try:
            data = self.sock.recv(LARGEST)
        except ConnectionError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        self._received += json.loads(data)
        return self._received.popleft()
