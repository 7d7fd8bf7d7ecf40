"""Looks at real sockets: well, bad, silent, gone."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest

from supervisor.checks.endpoints import BadAnswerError, Resolver, look_at_http, look_at_tcp

Look = Callable[[Resolver], Coroutine[Any, Any, None]]


@contextmanager
def door(answer: bytes) -> Iterator[int]:
    """Give the port of a server that takes one connection and answers like this."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            taken, _ = listening.accept()
            with taken, suppress(ConnectionError):
                taken.recv(4096)
                taken.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def look(what: Look) -> None:
    async def main() -> None:
        await what(Resolver(asyncio.get_running_loop()))

    asyncio.run(main())


def look_at(answer: bytes, host: str = "127.0.0.1") -> None:
    with door(answer) as port:
        look(lambda resolver: look_at_http(resolver, host, port, "/health"))


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_good_status_is_well(status: str, host: str) -> None:
    look_at(f"HTTP/1.1 {status}\r\n\r\n".encode(), host)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP status 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
        (b"", "the answer is not HTTP"),
        (b"x" * 100_000, "the answer is not HTTP"),
    ],
)
def test_any_other_answer_is_bad(answer: bytes, why: str) -> None:
    with pytest.raises(BadAnswerError, match=why):
        look_at(answer)


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OSError, match=r"Connection refused$"):
        look(lambda resolver: look_at_tcp(resolver, "127.0.0.1", port))


def test_a_connection_that_is_taken_is_well() -> None:
    with door(b"") as port:
        look(lambda resolver: look_at_tcp(resolver, "127.0.0.1", port))


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_name_that_cannot_be_looked_up_is_an_error_at_once(host: str) -> None:
    with pytest.raises(OSError, match="is no name of a host"):
        look(lambda resolver: asyncio.wait_for(look_at_tcp(resolver, host, 80), 10))


def test_no_thread_for_a_look_is_an_error_and_the_next_look_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice(resolver: Resolver) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Thread, "start", no_thread)
            with pytest.raises(OSError, match="can't start new thread"):
                await resolver.addresses("a..b")
        with pytest.raises(OSError, match="is no name of a host"):
            await asyncio.wait_for(resolver.addresses("a..b"), 10)

    look(twice)


def no_thread(_: Thread) -> None:
    raise RuntimeError("can't start new thread")
