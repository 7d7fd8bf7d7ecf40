"""Serves a Worker in its own process: ticks and messages one at a time, in order, and a stop between them.

A Worker that has a ``stop`` of its own gets it: the stop signal then only wakes this loop, so a running ``tick()`` ends
first. Without one the signal ends the process at once, in mid-tick, as for any program.
"""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from supervisor import job
from supervisor.engine import failure
from supervisor.engine.channel import LARGEST_MESSAGE, Channel
from supervisor.wire import Message
from supervisor.worker import Worker


class Workshop:
    """One Worker and the channel by which it is told what to do."""

    def __init__(self, make: Callable[[], Worker], channel: Channel, stop_signal: int) -> None:
        self._make = make
        self._channel = channel
        self._stop_signal = stop_signal
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        interval = os.environ.get("WATCHDOG_USEC")
        self._beat_every = int(interval) / 2e6 if interval else None
        """Seconds; one that waits for its next tick or message is alive."""
        self._is_stopping = False
        self._reason = "stop"

    def serve(self) -> None:
        """Return when the Worker has been stopped; what it raises goes through."""
        job.watch_by(self._watch)
        worker = self._make()
        stops_itself = type(worker).stop is not Worker.stop and self._handles_stop()
        worker.start()
        self._channel.send("serving")
        while not (self._is_stopping or (stops_itself and self._channel.is_stopping())):
            message = self._next()
            if message is not None:
                self._handle(worker, message)
        if stops_itself:
            worker.stop(self._cause())

    def _handles_stop(self) -> bool:
        try:
            signal.signal(self._stop_signal, self._asked)
            signal.signal(signal.SIGINT, self._asked)  # of a terminal, where it runs on one
        except OSError:  # KILL and STOP
            return False
        return True

    def _asked(self, _number: int, _frame: object) -> None:
        self._is_stopping = True
        with suppress(BlockingIOError):  # so many have come that the loop is awake
            self._waker.send(b"\0")

    def _watch(self, seconds: float) -> bool:
        """Wait for the stop while a ``tick`` has the word; other messages stay for later."""
        until = time.monotonic() + seconds
        while not (self._is_stopping or self._channel.is_stopping()):
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._sleep(left)
        return True

    def _sleep(self, seconds: float | None = None) -> None:
        """Sleep until there is a message or a stop."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll(None if seconds is None else seconds * 1000)

    def _next(self) -> Message | None:
        """Return the next message; None where there was none yet."""
        message = self._received()
        if message is None and not self._is_stopping:
            if self._beat_every is not None:
                job.heartbeat()
            self._sleep(self._beat_every)
        return message

    def _received(self) -> Message | None:
        try:
            return self._channel.receive()
        except EOFError:
            self._is_stopping, self._reason = True, "supervisor gone"
            return None

    def _cause(self) -> str:
        """Return why the Worker stops; the message that says so may have come behind others."""
        while message := self._received():
            if message["kind"] == "stop":
                self._reason = message["cause"]
        return self._reason

    def _handle(self, worker: Worker, message: Message) -> None:
        match message:
            case {"kind": "stop", "cause": str(cause)}:
                self._reason = cause
            case {"kind": "tick", "run_id": int(tick_id), "env": dict(identity)}:
                os.environ.pop("JOBVISOR_DUE", None)  # of an earlier tick
                os.environ.update(identity)
                job.turn_page(tick_id)
                self._tick(worker, tick_id)
            case {"kind": "call", "ask": int(ask), "content": request}:
                self._serve(ask, partial(worker.call, request), missing=_missing(worker, "call"))
            case {"kind": "cast", "ask": int(ask), "content": content}:
                self._serve(ask, partial(worker.cast, content))
            case {"kind": "state", "ask": int(ask)}:
                self._show(ask, worker)

    def _tick(self, worker: Worker, tick_id: int) -> None:
        began, cpu = time.monotonic(), time.process_time()

        def told() -> dict[str, Any]:
            return {
                "tick_id": tick_id,
                "duration": time.monotonic() - began,
                "cpu": time.process_time() - cpu,
            }

        try:
            worker.tick()
        except (Exception, KeyboardInterrupt) as error:
            self._channel.send("ticked", **told(), error=failure.told(error))
            raise
        self._channel.send("ticked", **told(), error=None)

    def _serve(self, ask: int, method: Callable[[], Any], *, missing: str | None = None) -> None:
        """Serve a message and answer it; an exception ends the process, as one in ``tick`` does."""
        if missing is not None:
            self._channel.send("reply", ask=ask, error=missing)
            return
        try:
            value = method()
        except (Exception, KeyboardInterrupt) as error:
            self._channel.send("reply", ask=ask, error=_raised(error))
            raise
        self._channel.send("reply", ask=ask, **_answer(value))

    def _show(self, ask: int, worker: Worker) -> None:
        """Answer what the state is; a look at a Worker never ends it."""
        try:
            value = worker.state()
        except Exception as error:  # noqa: BLE001  # told to the one who looks
            self._channel.send("reply", ask=ask, error=_raised(error))
        else:
            self._channel.send("reply", ask=ask, **_answer(value, default=repr))


def _missing(worker: Worker, method: str) -> str | None:
    """Return what to say where a Worker does not define a method: a slip of the caller is no failure of the Worker."""
    if getattr(type(worker), method) is not getattr(Worker, method):
        return None
    return f"{type(worker).__qualname__} answers no {method}s; define {method}(self, request) in it"


def _raised(error: BaseException) -> str:
    told = failure.told(error)
    place = f" at {told['file']}:{told['line']}" if told["file"] else ""
    return f"{told['type']}{place}: {told['message']}"


def _answer(value: Any, default: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Return a value as the fields of an answer, or why it cannot be one."""
    try:
        text = json.dumps(value, default=default, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return {"error": f"its answer is no JSON: {error}"}
    if len(text) > LARGEST_MESSAGE:
        return {"error": f"its answer has {len(text):,} bytes as JSON, at most {LARGEST_MESSAGE:,} are told"}
    return {"value": json.loads(text)}
