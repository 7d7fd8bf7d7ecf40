"""A client of the control socket: blocking, and light to import, as every command pays for it."""

import json
import socket
from collections.abc import Iterable
from typing import Any, Self

from supervisor.control.address import address
from supervisor.errors import ControlError, NoSupervisorError


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
        """Return the result of a request.

        Raises:
            ControlError: the supervisor refuses it, or does not answer within ``timeout`` seconds.
        """
        self._sock.settimeout(timeout)
        request = {"id": 1, "method": method, "params": params or {}}
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
            line = self._lines.readline()
        except TimeoutError:
            raise ControlError(1, f"no answer from the supervisor within {timeout:g} s ({self._path})") from None
        except OSError as error:
            raise ControlError(1, f"the supervisor is gone: {error.strerror} ({self._path})") from error
        if not line:
            raise ControlError(1, f"the supervisor ended before it answered ({self._path})")
        reply = json.loads(line)
        if "error" in reply:
            raise ControlError(reply["error"]["code"], reply["error"]["message"])
        return reply["result"]

    def wait_for_end(self) -> None:
        """Return when the supervisor has closed the connection."""
        try:
            while self._lines.readline():
                continue
        except ConnectionError:
            return


def connect(candidates: Iterable[str]) -> Client:
    """Return a connection to the first socket that answers.

    Raises:
        NoSupervisorError: none does; the text says where was tried and what to do.
        ControlError: one is there, and this user may not use it.
    """
    tried: list[str] = []
    for path in candidates:
        sock = socket.socket(socket.AF_UNIX)
        try:
            with address(path) as reachable:
                sock.connect(reachable)
        except PermissionError:
            sock.close()
            raise ControlError(1, f"not allowed to use {path}: only root and the supervisor's own user may") from None
        except OSError:
            sock.close()
            tried.append(path)
        else:
            return Client(sock, path)
    places = "\n".join(f"  tried {path}" for path in tried)
    raise NoSupervisorError(f"no supervisor is running for this manifest; start one with `jobvisor run`\n{places}")
