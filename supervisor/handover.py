"""What a supervisor hands over to the next version of itself in an exec, and how that is written and read.

The PID, the children and the descriptors stay by themselves; everything else is one document in memory. It says in
which format it is written: a version that has another one refuses, and so does one that finds in it what it does not
know. Raise FORMAT where the meaning of a field changes, and where the messages to fork server, log process or jobs do:
those of the old version go on.
"""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta, tzinfo
from typing import Any, NamedTuple

from supervisor import __version__
from supervisor.control.server import HandedSocket
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.notices import HandedNotices
from supervisor.core.runs import Record, RunId
from supervisor.core.schedule import ScheduleError, zone
from supervisor.core.snapshot import BoardSnapshot
from supervisor.engine.engine import HandedEngine
from supervisor.errors import JobvisorError
from supervisor.localzone import local_zone
from supervisor.logs.client import HandedLogs
from supervisor.plain import Fd, PlainError, Reader, Writer
from supervisor.systemd.service import HandedService
from supervisor.values import dataclass

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A failed run whose last lines of output are still to be put into its record."""

    run_id: RunId
    printed_by: RunId
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Everything."""

    manifest: Manifest
    """As it was applied last; it may have been edited since."""
    started_at: str
    asleep: timedelta
    lock: Fd
    console: bool
    board: BoardSnapshot
    engine: HandedEngine
    logs: HandedLogs
    control: HandedSocket
    records: tuple[Record, ...]
    """Those that a sick disk has not taken."""
    awaited: tuple[Awaited, ...]
    notices: HandedNotices
    letters: Mapping[str, tuple[Any, ...]]
    """Notices on their way, by notifier."""
    service: HandedService
    reloads: tuple[Any, ...]
    """Reloads by a signal whose end is not told yet, as requests."""


class Document(NamedTuple):
    """What was read, and who wrote it."""

    version: str
    handover: Handover
    fds: tuple[Fd, ...]
    """Every descriptor in it."""


def written(handover: Handover) -> tuple[bytes, list[Fd]]:
    """Return the document, and every descriptor in it."""
    writer = Writer(Job)
    content = writer.document(handover, Handover)
    document = {"format": FORMAT, "version": __version__, "fds": writer.fds, "handover": content}
    return json.dumps(document, separators=(",", ":")).encode(), writer.fds


def read(document: bytes, environ: Mapping[str, str]) -> Document:
    """Return what another version has written.

    Raises:
        JobvisorError: this version cannot go on from it; the text says why.
    """

    def known(name: str) -> tzinfo:
        try:
            return local_zone(environ) if name == "local" else zone(name)
        except ScheduleError as error:
            raise PlainError(str(error)) from error

    found = json.loads(document)
    if found.get("format") != FORMAT:
        raise JobvisorError(
            f"version {__version__} cannot take over from version {found.get('version')}: it reads format {FORMAT} of "
            f"the board, not {found.get('format')}"
        )
    try:
        handover = Reader(Job, zone=known).value(found["handover"], Handover)
    except PlainError as error:
        raise JobvisorError(
            f"version {__version__} cannot take over from version {found['version']}: it does not know what is on the "
            f"board: {error}"
        ) from error
    return Document(found["version"], handover, tuple(found["fds"]))


def proof(document: bytes, environ: Mapping[str, str]) -> tuple[str, int]:
    """Return what this version tells the one that wrote a document of whether it can go on from it, and an exit code.

    All that it would import by then has been imported.
    """
    try:
        found = read(document, environ)
    except JobvisorError as error:
        return json.dumps({"takes_over": False, "why": str(error)}), 1
    return json.dumps({"takes_over": True, "version": __version__, "from": found.version}), 0


def keep_over_exec(fds: Iterable[int], *, kept: bool) -> None:
    """Let descriptors live on over an exec, or no more."""
    for fd in fds:
        os.set_inheritable(fd, kept)
