"""The supervisor's own log, by loguru: to stderr, and to a file where the manifest names one.

A stderr that nobody reads must not hold up supervision, so each line is written without blocking; a line that does not
fit is lost there and counted, and how many are missing stands before the next one that does. Where stderr is systemd's
journal, lines go there as entries with fields instead.
"""

import asyncio
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from supervisor import journal

if TYPE_CHECKING:
    from loguru import Message

RECENT = 600.0
"""Seconds for which status tells of a line that was lost."""
FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {message}"


class Stderr:
    """A sink that never blocks: a pipe or terminal is opened anew with O_NONBLOCK, so the shared one stays as it is."""

    def __init__(self) -> None:
        self.lost = 0
        """Lines that stderr did not take."""
        self.lost_at: float | None = None
        """When it took the last of them not, on the monotonic clock."""
        self._missing = 0
        self._write = self._writer(os.dup(2))

    def __call__(self, message: str) -> None:
        """Write one line, or count it as lost."""
        note = f"[jobvisor] {self._missing} lines lost here\n" if self._missing else ""
        data = f"{note}{message}".encode(errors="backslashreplace")
        try:
            is_taken = self._write(data) == len(data)
        except OSError:
            is_taken = False
        self._missing = 0 if is_taken else self._missing + 1
        if not is_taken:
            self.lost += 1
            self.lost_at = time.monotonic()

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


class Entries:
    """A sink of entries for journald that never blocks; what is bound to a line is a field: ``job`` as JOBVISOR_JOB."""

    def __init__(self, instead: Stderr, to: journal.Journal) -> None:
        """Take the sink that is used where journald takes nothing."""
        self._instead = instead
        self._journal = to
        self._lost = 0
        self._lost_at: float | None = None

    @property
    def lost(self) -> int:
        """Lines that neither took."""
        return self._lost + self._instead.lost

    @property
    def lost_at(self) -> float | None:
        """When the last of them was lost, on the monotonic clock."""
        return max((at for at in (self._lost_at, self._instead.lost_at) if at is not None), default=None)

    def __call__(self, message: "Message") -> None:
        """Send one line, or count it as lost."""
        record = message.record
        fields = {f"JOBVISOR_{name.upper()}": str(value) for name, value in record["extra"].items()}
        own = {"MESSAGE": str(message).rstrip("\n"), "PRIORITY": _priority(record["level"].no)}
        try:
            if not self._journal.send(journal.encoded({"SYSLOG_IDENTIFIER": "jobvisor", **own, **fields})):
                self._lost += 1
                self._lost_at = time.monotonic()
        except OSError:
            self._instead(message)


_PRIORITIES = (
    (50, journal.CRITICAL),
    (40, journal.ERROR),
    (30, journal.WARNING),
    (25, journal.NOTICE),
    (20, journal.INFO),
)
"""By the least level of loguru."""


def _priority(level: int) -> str:
    return str(next((priority for least, priority in _PRIORITIES if level >= least), journal.DEBUG))


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Tell whether a descriptor is the journal's (systemd.exec(5), $JOURNAL_STREAM)."""
    found = os.fstat(fd)
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a callback of the event loop has raised, never blocking: asyncio itself would write to stderr."""
    error = context.get("exception")
    where = context.get("handle") or context.get("future") or context.get("socket") or "the event loop"
    logger.opt(exception=error).error("{} ({})", context["message"], where)


class File(Protocol):
    """A file with rotation that takes lines without blocking."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it."""

    def write(self, line: str) -> None:
        """Take a line."""

    def reopen(self) -> None:
        """Go on in a new file where somebody has moved the old one away."""

    def settle(self) -> None:
        """Wait until all is written, if the disk takes it in time."""


class OwnLog:
    """Where the supervisor's lines go."""

    def __init__(self, sink: Stderr | Entries, file: File | None) -> None:
        self._sink = sink
        self._file = file

    @property
    def lost(self) -> int:
        """Lines that stderr or the journal did not take."""
        return self._sink.lost

    @property
    def warnings(self) -> list[str]:
        """What is wrong with it, or was in the last minutes; a line each."""
        at = self._sink.lost_at
        is_recent = at is not None and time.monotonic() - at < RECENT
        lost = [f"{self.lost} lines of the supervisor's own log did not fit stderr"] if is_recent else []
        trouble = self._file.trouble if self._file is not None else None
        return [*lost, *([trouble] if trouble else [])]

    def settle(self) -> None:
        """Have on disk what was written, if the disk takes it in time: an exec ends the thread that writes."""
        if self._file is not None:
            self._file.settle()

    def reopen(self) -> None:
        """Go on in a new file where somebody has moved the old one away."""
        if self._file is not None:
            self._file.reopen()


def open_log(level: str, file: File | None = None) -> OwnLog:
    """Send loguru's lines to stderr or the journal, and to a file where there is one.

    A traceback shows no values of variables (``diagnose``), which may be secrets.
    """
    logger.remove()
    stderr = Stderr()
    sink: Stderr | Entries = stderr
    if is_journal(2, os.environ):
        sink = Entries(stderr, journal.Journal())
        logger.add(sink, level=level, format="{message}", colorize=False, diagnose=False)
    else:
        is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        logger.add(sink, level=level, format=FORMAT, colorize=is_coloured, diagnose=False)
    if file is not None:
        logger.add(file, level=level, format=FORMAT, colorize=False, diagnose=False)
    return OwnLog(sink, file)
