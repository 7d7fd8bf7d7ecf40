"""A journald as far as its native protocol goes: a datagram socket, and the entries that have come there."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Entry = dict[str, str]


class Journald:
    def __init__(self, path: str) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind(path)

    def read(self) -> list[Entry]:
        """Return all entries so far; what came in a memfd must be sealed, as journald wants it."""
        with suppress(BlockingIOError):
            while True:
                data, fds, _, _ = socket.recv_fds(self._sock, 1024 * 1024, 1)
                for fd in fds:
                    with os.fdopen(fd, "rb") as file:
                        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
                        data = os.pread(file.fileno(), os.fstat(fd).st_size, 0)
                self.entries.append(_parsed(data))
        return self.entries

    def close(self) -> None:
        self._sock.close()


def _parsed(data: bytes) -> Entry:
    entry: Entry = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        entry[name.decode()] = value.decode(errors="replace")
    return entry


@contextmanager
def journald(folder: Path) -> Iterator[Journald]:
    """Give a journald that listens in a folder, and remove its socket afterwards."""
    path = folder / "journal.sock"
    made = Journald(str(path))
    try:
        yield made
    finally:
        made.close()
        path.unlink()
