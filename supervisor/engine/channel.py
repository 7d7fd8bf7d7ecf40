"""The job's end of its channel: one SOCK_SEQPACKET socket to the supervisor, JSON messages both ways.

From the job: ``start_failed``, ``error``, ``serving``, ``ticked``, ``reply``; from its own code, by ``supervisor.job``,
``heartbeat``, ``progress``, ``keep``, ``recall``; from a probe ``found``, ``missing``. To the job: ``tick``, ``call``,
``cast``, ``state``, ``stop``.
"""

import os
import select
import socket
from collections import deque
from contextlib import suppress

from supervisor.wire import Message, Wire

LARGEST_MESSAGE = 256 * 1024
"""Bytes of what a person says to a Worker, or of its answer, as JSON: neither end is held up for long by reading it."""
LARGEST_TOLD = 1024 * 1024
"""Bytes that the supervisor takes from a job at once; one that sends more is heard no longer."""


class Channel:
    """Sends and receives for one job. A supervisor that is gone is no error here: the job is about to end."""

    def __init__(self, sock: socket.socket) -> None:
        self._wire = Wire(sock)
        self._inbox: deque[Message] = deque()

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll."""
        return self._wire.fileno()

    def send(self, kind: str, **fields: object) -> None:
        """Send a message; it waits where the supervisor is slow, and is dropped where it is gone."""
        self._wire.put({"kind": kind, **fields})
        room = select.poll()
        room.register(self._wire, select.POLLOUT)
        with suppress(ConnectionError):
            self._wire.flush()
            while self._wire.has_waiting:
                room.poll()
                self._wire.flush()

    def receive(self) -> Message | None:
        """Return the next message that has come; None where none has.

        Raises:
            EOFError: the supervisor is gone, and everything that it said has been taken.
        """
        if not self._inbox:
            self._collect()
        return self._inbox.popleft() if self._inbox else None

    def is_stopping(self) -> bool:
        """Tell whether a stop has come, or the supervisor is gone; takes no message."""
        try:
            while self._collect():
                pass
        except EOFError:
            return True
        return any(message["kind"] == "stop" for message in self._inbox)

    def _collect(self) -> bool:
        received = self._wire.receive()
        for message, fds in received:
            self._inbox.append(message)
            for fd in fds:
                os.close(fd)
        return bool(received)
