"""Telling a webhook: JSON by POST, TLS verified, and an answer of 2xx says that it has arrived.

With ``ping`` the address is told of each run as healthchecks.io wants it: ``/start``, nothing or ``/fail`` behind the
path, and the run as ``rid``, a UUID (https://healthchecks.io/docs/http_api/). No redirect is followed: where a notice
goes is what the manifest says.
"""

import binascii
import json
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import NAMESPACE_URL, uuid5

from supervisor import __version__
from supervisor.core.notifier import Webhook
from supervisor.notify.delivery import Undelivered

_PATHS = {"start": "/start", "success": "", "fail": "/fail"}
_AGAIN = frozenset({408, 425, 429})
"""Refusals that are not for good (RFC 9110, RFC 6585)."""


class ByWebhook:
    """Makes one connection for each notice."""

    def __init__(self, webhook: Webhook, timeout: float) -> None:
        self._webhook = webhook
        self._timeout = timeout
        self._late = f"no answer within {timeout:g} s"
        self._parts = urlsplit(webhook.url)
        self._context = ssl.create_default_context() if self._parts.scheme == "https" else None

    def __call__(self, notice: dict[str, Any], /) -> None:
        """Deliver a notice.

        Raises:
            Undelivered: no connection, no answer in time, or one that is not 2xx.
        """
        connection = self._connection()
        is_late = False

        def cut() -> None:
            nonlocal is_late
            is_late = True
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        watch = Timer(self._timeout, cut)  # each read alone is bounded by the connection: a drip of bytes is not
        watch.daemon = True
        watch.start()
        try:
            connection.request("POST", self._path(notice), json.dumps(notice).encode(), self._headers())
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            is_late = is_late or isinstance(error, TimeoutError)
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise Undelivered(f"{self._webhook.shown}: {self._late if is_late else reason}") from None
        finally:
            watch.cancel()
            connection.close()
        if is_late:
            raise Undelivered(f"{self._webhook.shown}: {self._late}")
        if not 200 <= status < 300:
            raise Undelivered(f"{self._webhook.shown}: answered {status}", again=status >= 500 or status in _AGAIN)

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._context is not None:
            return HTTPSConnection(host, port, timeout=self._timeout, context=self._context)
        return HTTPConnection(host, port, timeout=self._timeout)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": f"jobvisor/{__version__}"}
        user, at, _ = self._parts.netloc.rpartition("@")
        if at:
            headers["Authorization"] = "Basic " + binascii.b2a_base64(user.encode(), newline=False).decode()
        return headers

    def _path(self, notice: dict[str, Any]) -> str:
        path, query = self._parts.path, self._parts.query
        if self._webhook.ping:
            path = path.rstrip("/") + _PATHS[notice["event"]]
            rid = uuid5(NAMESPACE_URL, f"{notice['manifest']}#{notice['run_id']}")
            query = "&".join(part for part in (query, urlencode({"rid": rid})) if part)
        return (path or "/") + (f"?{query}" if query else "")
