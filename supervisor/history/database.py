"""history.db over its life: settled at the start, opened anew after a failure, replaced when it is lost.

A failure closes the connection and the next use opens it again, so every fault heals by the same way. A file that is
corrupt is moved aside and a new one begun; one that somebody has deleted, too. The saved state of slots and groups is
kept in mind for that: no job forgets that it is held because a disk broke.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from supervisor.core.runs import Forgotten, ForgottenGroup, Record, Saved, SavedGroup, SlotId
from supervisor.errors import JobvisorError
from supervisor.history.files import is_corrupt, move_aside, open_for_writing, reading, transaction
from supervisor.history.recovery import Recovered, Warn, look, salvage, settle, unknown
from supervisor.history.retention import Retention
from supervisor.history.rows import write


class Database:
    """The one writer's database. One thread at a time uses it; every method but ``close`` may raise what disks do."""

    def __init__(self, path: Path, warn: Warn) -> None:
        self._path = path
        self._warn = warn
        self._db: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._corrupt = False
        self._settled = False
        self._slots: dict[SlotId, Saved] = {}
        self._groups: dict[str, SavedGroup] = {}
        self._recovered: Recovered | None = None

    def begin(self, now: datetime) -> Recovered:
        """Open the database and settle what the supervisor before this one left.

        Raises:
            NewerSchemaError: a newer Jobvisor has written the database.
            sqlite3.Error, OSError, ValueError: the disk; ``recall`` tells what is known all the same.
        """
        self._began_at = now
        try:
            found = look(self._open(), now, self._warn)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            found = salvage(self._replace(), now, self._warn)
        self._remember(found)
        self._settle(self._db or self._open(), found)
        return found

    def recall(self, now: datetime) -> Recovered:
        """Return what can be known of the past where nothing can be written; call it when ``begin`` has failed."""
        if self._recovered is None:
            return self._remember(self._read(now))
        return self._recovered

    def go_on(self, found: Recovered) -> None:
        """Use the file as this process has used it before an exec: nothing in it is to be settled."""
        self._remember(found)
        self._settled = True

    def _remember(self, found: Recovered) -> Recovered:
        self._recovered, self._slots, self._groups = found, dict(found.saved), dict(found.groups)
        return found

    def _read(self, now: datetime) -> Recovered:
        try:
            with reading(self._path) as db:
                if db is not None:
                    return look(db, now, self._warn)
        except (JobvisorError, ValueError) as error:
            self._warn(f"the saved state of all jobs is out of reach, they begin anew: {error}")
        return unknown(now)

    def write(self, records: Iterable[Record]) -> list[tuple[Record, Exception]]:
        """Write records in one transaction; return those that no database can hold, and why."""
        records = tuple(records)
        db = self._current()
        with transaction(db):
            refused = write(db, records)
        for record in records:
            match record:
                case Saved(slot=slot):
                    self._slots[slot] = record
                case Forgotten(slot=slot):
                    self._slots.pop(slot, None)
                case SavedGroup(group=name):
                    self._groups[name] = record
                case ForgottenGroup(group=name):
                    self._groups.pop(name, None)
        return refused

    def prune(self, retention: Retention, now: datetime) -> None:
        """Delete a little of what is too old."""
        db = self._current()
        with transaction(db):
            retention.work(db, now)

    def fail(self, error: Exception) -> None:
        """Take note of a failure; the next use opens the file again, or replaces it."""
        self._corrupt = is_corrupt(error)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            with suppress(sqlite3.Error):  # what could not be written is still in the caller's hands
                self._db.close()
            self._db = None

    def _current(self) -> sqlite3.Connection:
        """Return the connection; what an earlier failure has kept from being settled is settled first."""
        if self._db is not None and self._is_gone():
            self.close()
            self._warn(f"{self._path} is gone: a new history is begun")
        if self._db is not None:
            return self._db
        if self._corrupt:
            self._replace()
        db = self._open()
        if not self._settled:
            assert self._recovered is not None
            found = look(db, self._began_at, self._warn, below=self._recovered.next_run_id)
            self._settle(db, found)
        return db

    def _is_gone(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return True
        return self._file != (found.st_dev, found.st_ino)

    def _open(self) -> sqlite3.Connection:
        self._db, fresh = open_for_writing(self._path)
        found = self._path.stat()
        self._file = (found.st_dev, found.st_ino)
        if fresh:
            self._settled = False
        return self._db

    def _settle(self, db: sqlite3.Connection, found: Recovered) -> None:
        assert self._recovered is not None
        with transaction(db):
            settle(db, self._recovered)
            write(db, (*self._slots.values(), *self._groups.values(), *found.records))
        self._settled = True

    def _replace(self) -> Path:
        """Move the corrupt database aside, and say so; return where it lies now."""
        self.close()
        aside = move_aside(self._path)
        self._corrupt = False
        self._warn(f"{self._path} is corrupt: it lies in {aside} now, and a new history is begun")
        return aside
