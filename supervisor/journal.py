"""Entries for systemd's journal in its native protocol, without ever waiting for journald.

An entry is one datagram of fields (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). One that is too large for the socket
travels in a sealed memfd. Needs no library of systemd, and imports little: the log process has it.
"""

import array
import errno
import fcntl
import os
import socket
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL = 7, 6, 5, 4, 3, 2
"""Priorities (syslog(3))."""

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return fields as they stand in an entry. Names are capitals, digits and underscores."""
    return b"".join(field(name, value.encode(errors="replace")) for name, value in fields.items())


def field(name: str, value: bytes) -> bytes:
    """Return one field; a value of several lines stands behind its length."""
    if b"\n" not in value:
        return b"%b=%b\n" % (name.encode(), value)
    return b"%b\n%b%b\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


class Journal:
    """A connection to journald, made when it is needed and again after it was lost."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._sock: socket.socket | None = None

    def fileno(self) -> int:
        """Return the descriptor on which to wait for room, after ``send`` had none; -1 where there is no connection."""
        return self._sock.fileno() if self._sock is not None else -1

    def send(self, entry: bytes) -> bool:
        """Send an entry; False where there is no room for it now.

        Raises:
            OSError: nobody takes it.
        """
        try:
            self._send(entry)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            raise
        return True

    def close(self) -> None:
        """Hang up."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None

    def _send(self, entry: bytes) -> None:
        if self._sock is None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sock.setblocking(False)
            self._sock.connect(self._path)  # so that room can be waited for (unix(7))
        try:
            self._sock.send(entry)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_apart(self._sock, entry)

    @staticmethod
    def _send_apart(sock: socket.socket, entry: bytes) -> None:
        body = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(os.dup(body), "wb") as file:
                file.write(entry)
            fcntl.fcntl(body, fcntl.F_ADD_SEALS, _SEALS)
            sock.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [body]))])
        finally:
            os.close(body)
