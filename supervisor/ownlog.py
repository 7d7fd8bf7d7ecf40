"""The supervisor's own log, by loguru: to stderr, and to a file with rotation where the manifest names one.

A stderr that nobody reads must not hold up supervision, so each line is written without blocking; a line that does not
fit is lost there and counted.
"""

import os
import socket
import stat
import sys
from collections.abc import Callable

from loguru import logger

FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {message}"


class Stderr:
    """A sink that never blocks: a pipe or terminal is opened anew with O_NONBLOCK, so the shared one stays as it is."""

    def __init__(self) -> None:
        self.lost = 0
        """Lines that stderr did not take."""
        self._write = self._writer(os.dup(2))

    def __call__(self, message: str) -> None:
        """Write one line, or count it as lost."""
        data = message.encode(errors="backslashreplace")
        try:
            self.lost += self._write(data) < len(data)
        except OSError:
            self.lost += 1

    @staticmethod
    def _writer(fd: int) -> Callable[[bytes], int]:
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            peer = socket.socket(fileno=fd)
            return lambda data: peer.send(data, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(mode) or os.isatty(fd):
            try:
                anew = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            except OSError:
                os.set_blocking(fd, False)
                return lambda data: os.write(fd, data)
            os.close(fd)
            return lambda data: os.write(anew, data)
        return lambda data: os.write(fd, data)


def open_log(level: str, file: str | None = None, *, max_size: int = 10 * 1024 * 1024, keep: int = 5) -> Stderr:
    """Send loguru's lines to stderr and, where named, to a rotating file; return the sink to ask what it lost."""
    logger.remove()
    sink = Stderr()
    logger.add(sink, level=level, format=FORMAT, colorize=sys.stderr.isatty() and "NO_COLOR" not in os.environ)
    if file is not None:
        logger.add(file, level=level, format=FORMAT, rotation=max_size, retention=keep, delay=False)
    return sink
