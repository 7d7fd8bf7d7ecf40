"""A client of the control socket: blocking, and light to import, as every command pays for it."""

import json
import os
import select
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Self

from supervisor.control.address import address
from supervisor.errors import ControlError, NoSupervisorError, SupervisorGoneError

ANSWERS_WITHIN = 10
"""Seconds in which a living supervisor takes a connection. Told to the kernel by SO_SNDTIMEO (unix(7)): a socket with
a timeout of Python's does not wait where the backlog is full, it fails at once."""
_BLOCK = 64 * 1024
_TIMEVAL = struct.Struct("@ll")
_CREDENTIALS = struct.Struct("3i")
_ALLOWED = "only root, the supervisor's own user and the members of its `socket_group` are"


class Client:
    """One connection to a supervisor, as a context."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self._sock = sock
        self._path = path
        self._lines = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, method: str, params: dict[str, Any] | None = None, timeout: float | None = None) -> Any:
        """Return the result of a request; ``timeout`` None waits for as long as it takes.

        Raises:
            ControlError: the supervisor refuses it, or is silent for ``timeout`` seconds.
        """
        self._sock.settimeout(timeout)
        request = {"method": method, "params": params or {}}
        try:
            self._send(request)
            line = self._lines.readline()
            while (asked := _parsed(line).get("again")) is not None:
                self._ask_again(asked or request)
                self._sock.settimeout(timeout)
                line = self._lines.readline()
        except TimeoutError:
            raise ControlError(1, f"no answer from the supervisor within {timeout:g} s ({self._path})") from None
        except OSError as error:
            raise SupervisorGoneError(f"the supervisor is gone: {error.strerror} ({self._path})") from error
        if not line.endswith(b"\n"):
            raise SupervisorGoneError(f"the supervisor ended before it answered ({self._path})")
        return self._result(_parsed(line), line)

    def stream(self, method: str, params: dict[str, Any] | None = None, *, every: float | None = None) -> Iterator[Any]:
        """Yield the results of a request as they come, and None after each ``every`` seconds without one.

        Raises:
            ControlError: the supervisor refuses it, or ends before the stream does.
        """
        request = {"method": method, "params": params or {}}
        waiting = b""
        try:
            self._send(request)
            while True:
                *lines, waiting = waiting.split(b"\n")
                for line in lines:
                    reply = _parsed(line)
                    if reply.get("end") is True:
                        return
                    if reply.get("again") is not None:
                        self._ask_again(reply["again"] or request)
                        waiting = b""
                        break
                    yield self._result(reply, line)
                if not select.select([self._sock], [], [], every)[0]:
                    yield None
                    continue
                received = self._sock.recv(_BLOCK)
                if not received:
                    raise SupervisorGoneError(f"the supervisor ended before it answered ({self._path})")
                waiting += received
        except OSError as error:
            raise SupervisorGoneError(f"the supervisor is gone: {error.strerror} ({self._path})") from error

    def _send(self, request: Any) -> None:
        """Send a request; where it goes unheard, an answer that has been given already says why."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")

    def _ask_again(self, asked: Any) -> None:
        """Ask the next version, into which the supervisor turns just now; it listens on the same socket."""
        self._lines.close()
        self._sock.close()
        self._sock = _connected(self._path)
        self._lines = self._sock.makefile("rb")
        self._send(asked)

    def end(self, tell: Callable[[Any], None] | None = None) -> int:
        """Have the supervisor end, and return its pid when its process is gone and its state is free for the next.

        ``tell`` gets what it still waits for, as ``stream`` yields it.

        Raises:
            ControlError: it refuses.
        """
        process = self._process()
        try:
            pid: int = self.ask("shutdown")["pid"] if tell is None else self._end_telling(tell)
            with suppress(ConnectionError):
                while self._lines.readline():
                    continue
            if process is not None:
                select.select([process], [], [])
        finally:
            if process is not None:
                os.close(process)
        return pid

    def _end_telling(self, tell: Callable[[Any], None]) -> int:
        for told in self.stream("shutdown", {"progress": True}, every=1.0):
            match told:
                case {"done": {"pid": int(pid)}} | {"pid": int(pid)}:
                    return pid
            tell(told)
        raise SupervisorGoneError(f"the supervisor ended before it answered ({self._path})")

    def _process(self) -> int | None:
        """Return a pidfd of the one who listens, None where its pid means nothing here (another pid namespace)."""
        peer = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        try:
            return os.pidfd_open(_CREDENTIALS.unpack(peer)[0])
        except OSError:
            return None

    def _result(self, reply: dict[str, Any], line: bytes) -> Any:
        match reply:
            case {"result": result}:
                return result
            case {"error": {"code": int(code), "message": str(message)}}:
                raise ControlError(code, message)
        raise ControlError(1, f"{self._path} is no supervisor's control socket: it answers {line[:60]!r}")


def _parsed(line: bytes) -> dict[str, Any]:
    """Return a reply; an empty one where it is none."""
    try:
        reply = json.loads(line)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(ANSWERS_WITHIN, 0))
    try:
        with address(path) as reachable:
            sock.connect(reachable)
    except OSError:
        sock.close()
        raise
    return sock


def connect(candidates: Iterable[str]) -> Client:
    """Return a connection to the first socket that answers.

    Raises:
        NoSupervisorError: none does; the text says where was tried and what to do.
        ControlError: one is there, and this user may not use it, or it is stuck.
    """
    tried: list[str] = []
    refused: str | None = None
    for path in candidates:
        try:
            sock = _connected(path)
        except PermissionError:
            refused = refused or path
        except BlockingIOError:
            raise ControlError(1, f"the supervisor takes no connection within {ANSWERS_WITHIN} s ({path})") from None
        except OSError as error:
            tried.append(f"  tried {path}: {error.strerror or error}")
        else:
            return Client(sock, path)
    if refused is not None:
        raise ControlError(1, f"not allowed to use {refused}: {_ALLOWED}")
    places = "\n".join(tried)
    raise NoSupervisorError(f"no supervisor answers; start one with `jobvisor run`\n{places}")
