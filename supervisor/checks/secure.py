"""The same look over TLS, with sockets that block, in a thread of its own.

asyncio is imported here without OpenSSL, whose memory few programs need; it is loaded with this module, where a
manifest names an https address. The certificate is verified against what the system trusts, or ``$SSL_CERT_FILE``.
"""

import os
import socket
import ssl
import time
from collections.abc import Iterable
from functools import cache


class UntrustedError(Exception):
    """There is no TLS that could be trusted; the text says why."""


@cache
def trusting() -> ssl.SSLContext:
    """Return what the system trusts; to read it takes some milliseconds."""
    return ssl.create_default_context()


def first_line(addresses: Iterable[str], host: str, port: int, request: bytes, *, within: float, longest: int) -> bytes:
    """Return the first line of the answer to a request, or ``longest`` bytes of it.

    Raises:
        OSError: nobody answers; TimeoutError after ``within`` seconds in all.
        UntrustedError: who answers is not who it should be, or does not speak TLS.
    """
    ends_at = time.monotonic() + within
    try:
        with (
            _connected(addresses, host, port, ends_at) as plain,
            trusting().wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.settimeout(_left(ends_at))
            secure.sendall(request)
            answer = b""
            while b"\n" not in answer and len(answer) < longest:
                secure.settimeout(_left(ends_at))
                more = secure.recv(longest)
                if not more:
                    break
                answer += more
            return answer.partition(b"\n")[0]
    except ssl.SSLCertVerificationError as error:
        raise UntrustedError(f"its certificate is not to be trusted: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise UntrustedError(f"it does not speak TLS: {error.reason or error}") from error


def _connected(addresses: Iterable[str], host: str, port: int, ends_at: float) -> socket.socket:
    refused: OSError = OSError(f"{host} has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_left(ends_at))
        except OSError as error:
            refused = OSError(error.errno, os.strerror(error.errno)) if error.errno else error
    raise refused


def _left(ends_at: float) -> float:
    """Return how many seconds are left.

    Raises:
        TimeoutError: none.
    """
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
