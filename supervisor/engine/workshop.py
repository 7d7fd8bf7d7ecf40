"""Serves a Worker in its own process: ticks and messages one at a time, in order, and a stop between them.

A Worker that has a ``stop`` of its own gets it: the stop signal then only wakes this loop, so a running ``tick()`` ends
first. Without one the signal ends the process at once, in mid-tick, as for any program.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from supervisor.engine.channel import Channel
from supervisor.worker import Worker


class Workshop:
    """One Worker and the channel by which it is told what to do."""

    def __init__(self, make: Callable[[], Worker], channel: Channel, stop_signal: int) -> None:
        self._channel = channel
        self._wake, self._waker = socket.socketpair()
        self._stopping = False
        self._reason = "stop"
        self._make = make
        self._stop_signal = stop_signal

    def serve(self) -> None:
        """Return when the Worker has been stopped; what it raises goes through."""
        worker = self._make()
        stops_itself = type(worker).stop is not Worker.stop
        if stops_itself:
            signal.signal(self._stop_signal, self._asked)
        worker.start()
        self._channel.send("serving")
        while not self._stopping:
            message = self._next()
            if message is not None:
                self._handle(worker, message)
        if stops_itself:
            worker.stop(self._cause())

    def _asked(self, _number: int, _frame: object) -> None:
        self._stopping = True
        self._waker.send(b"\0")

    def _next(self) -> dict[str, Any] | None:
        """Return the next message; None where a stop came first."""
        if self._channel.has_received:
            return self._received()
        poll = select.poll()
        poll.register(self._channel.sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        if self._channel.sock.fileno() not in {fd for fd, _ in poll.poll()}:
            return None
        return self._received()

    def _received(self) -> dict[str, Any] | None:
        try:
            return self._channel.receive(0)
        except EOFError:
            self._stopping, self._reason = True, "supervisor gone"
            return None

    def _cause(self) -> str:
        """Return why the Worker stops; the message that says so may have come behind others."""
        while message := self._received():
            if message["kind"] == "stop":
                self._reason = message["cause"]
        return self._reason

    def _handle(self, worker: Worker, message: dict[str, Any]) -> None:
        match message:
            case {"kind": "stop", "cause": str(cause)}:
                self._reason = cause
            case {"kind": "tick", "run_id": int(tick_id), "env": dict(identity)}:
                os.environ.update(identity)
                began, cpu = time.monotonic(), time.process_time()
                worker.tick()
                took, used = time.monotonic() - began, time.process_time() - cpu
                self._channel.send("ticked", tick_id=tick_id, duration=took, cpu=used)
