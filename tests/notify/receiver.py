"""A local server that notices are sent to; it answers, refuses, hangs or drips as it is told."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Receiver:
    """Answers each request with the next of ``answers``, the last of them for ever."""

    def __init__(self, *answers: int | str, context: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers) or [200]
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                peer, _ = self._listener.accept()
                if self._context is not None:
                    peer = self._context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
                self._threads.append(threading.Thread(target=self._serve, args=(peer,)))
                self._threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as lines, suppress(OSError):
            path = lines.readline().decode().split()[1]
            headers = {}
            while line := lines.readline().strip().decode():
                name, _, value = line.partition(": ")
                headers[name] = value
            body = json.loads(lines.read(int(headers["Content-Length"])))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.requests.append((path, headers, body))
            match answer:
                case "hang":
                    self._over.wait(60)
                case "drip":
                    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
                        peer.sendall(bytes([byte]))
                        if self._over.wait(0.02):
                            break
                case "garbage":
                    peer.sendall(b"what?\r\n\r\n")
                case int(status):
                    peer.sendall(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())

    def release(self) -> None:
        """Hang no longer."""
        self._over.set()

    def close(self) -> None:
        self.release()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def receiving(*answers: int | str, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    made = Receiver(*answers, context=context)
    try:
        yield made
    finally:
        made.close()


def nobody() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"
