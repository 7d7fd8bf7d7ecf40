"""One look at an address: whether it takes a connection, or answers a GET well. Raises what is wrong."""

import asyncio
import ipaddress
import os
import socket
from functools import partial

from supervisor.aside import aside

_LONGEST = 16 * 1024
"""Bytes of the first line of an answer."""


class BadAnswerError(Exception):
    """The endpoint answered, and not well."""


class Resolver:
    """Looks names up, each in a thread of its own: a name server that hangs holds up nothing but that name."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: dict[str, asyncio.Task[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none.
        """
        if host == "localhost":
            return ["127.0.0.1", "::1"]
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        if host not in self._pending:
            look = self._pending[host] = self._loop.create_task(aside(partial(_look_up, host)))
            look.add_done_callback(partial(self._looked_up, host))
        return await asyncio.shield(self._pending[host])

    def _looked_up(self, host: str, look: "asyncio.Task[list[str]]") -> None:
        del self._pending[host]
        if not look.cancelled():
            look.exception()  # who asked may have given up


def _look_up(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except UnicodeError:
        raise OSError(f"{host} is no name of a host") from None


async def connect(resolver: Resolver, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to the first address of a host that takes one.

    Raises:
        OSError: none does.
    """
    refused: OSError = OSError(f"{host} has no address")
    for address in await resolver.addresses(host):
        try:
            return await asyncio.open_connection(address, port, limit=_LONGEST)
        except OSError as error:  # asyncio's text tells the address as Python has it
            refused = OSError(error.errno, os.strerror(error.errno)) if error.errno else error
    raise refused


async def look_at_tcp(resolver: Resolver, host: str, port: int) -> None:
    """Connect, and hang up.

    Raises:
        OSError: nobody takes the connection.
    """
    _, writer = await connect(resolver, host, port)
    writer.transport.abort()


async def look_at_http(resolver: Resolver, host: str, port: int, path: str) -> None:
    """Ask with a GET; a status of 200 to 399 is well. The body is not read.

    Raises:
        OSError: nobody answers.
        BadAnswerError: with another status, or not in HTTP.
    """
    reader, writer = await connect(resolver, host, port)
    try:
        writer.write(_request(host, port, path))
        first = await _first_line(reader)
    finally:
        writer.transport.abort()
    _judge(first)


async def look_at_https(resolver: Resolver, host: str, port: int, path: str, within: float) -> None:
    """Ask with a GET over TLS; a trusted certificate and a status of 200 to 399 are well.

    Raises:
        OSError: nobody answers; TimeoutError after ``within`` seconds.
        BadAnswerError: with another status, not in HTTP, or by one who is not to be trusted.
    """
    from supervisor.checks import secure  # noqa: PLC0415  # OpenSSL, only where a manifest asks for it

    addresses = await resolver.addresses(host)
    request = _request(host, port, path)
    try:
        first = await aside(partial(secure.first_line, addresses, host, port, request, within=within, longest=_LONGEST))
    except secure.UntrustedError as error:
        raise BadAnswerError(str(error)) from error
    _judge(first.decode("latin-1").rstrip())


def _request(host: str, port: int, path: str) -> bytes:
    named = f"[{host}]" if ":" in host else host
    return f"GET {path} HTTP/1.1\r\nHost: {named}:{port}\r\nUser-Agent: jobvisor\r\nConnection: close\r\n\r\n".encode()


def _judge(first: str) -> None:
    """Raise what is wrong with the first line of an answer."""
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/") or not status.isdigit():
        raise BadAnswerError("the answer is not HTTP")
    if not 200 <= int(status) < 400:
        raise BadAnswerError(f"HTTP status {status}")


async def _first_line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readline()).decode("latin-1").rstrip()
    except ValueError:
        raise BadAnswerError("the answer is not HTTP") from None
