"""The database file: opened for the one writer or for a reader, moved aside when it is no database any more."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from supervisor.errors import JobvisorError
from supervisor.history.schema import VERSION, OlderSchemaError, migrate, version_of

BUSY_S = 0.2
"""How long the writer waits for a foreign lock before it says so; then it tries again, with back-off."""
READER_BUSY_S = 5.0
LARGEST_WAL = 4 * 1024 * 1024
"""Bytes that a write-ahead log keeps on disk after a checkpoint; a slow reader may have let it grow."""


def open_for_writing(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Return the database, made or migrated as needed, and whether it is a new one.

    A new file is readable by its owner alone whatever the umask; SQLite gives -wal and -shm the same mode. With
    synchronous=FULL every commit in WAL mode is on disk when it returns (https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        NewerSchemaError: a newer Jobvisor has written the file.
        sqlite3.Error, OSError: the disk, the file's permissions, a foreign lock, a corrupt file.
    """
    _create(path)
    db = _connect(path, "mode=rw", BUSY_S)
    try:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL}")
        fresh = version_of(db) == 0
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db, fresh


def _create(path: Path) -> None:
    with suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)
        finally:
            os.close(fd)


def _connect(path: Path, option: str, busy_s: float) -> sqlite3.Connection:
    """Return a connection that leaves transactions to us; https://www.sqlite.org/uri.html names the options."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{option}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Lend a connection that cannot write, beside a live writer or without one; None where there is no file yet.

    Raises:
        JobvisorError: the file cannot be read, or is of another schema version than this program's.
    """
    try:
        if not path.exists():
            yield None
            return
        if not os.access(path, os.R_OK):  # SQLite says no more than "unable to open"
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        db = _connect_reader(path)
        try:
            if version_of(db) < VERSION:
                raise OlderSchemaError(f"cannot read {path}: the next `jobvisor run` brings it up to date")
            db.row_factory = sqlite3.Row
            yield db
        finally:
            db.close()
    except sqlite3.Error as error:
        raise JobvisorError(f"cannot read {path}: {error}") from error
    except OSError as error:
        raise JobvisorError(f"cannot read {path}: {error.strerror}") from error


def _connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write.

    A WAL database wants its -shm beside it. Where that is missing and cannot be made (a read-only mount, another user's
    folder, a full disk), no writer lives; without anything in a -wal, the file alone is all, and is read as it is.
    """
    db = _connect(path, "mode=ro", READER_BUSY_S)
    try:
        version_of(db)
    except sqlite3.OperationalError as error:
        db.close()
        no_shm = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
        wal = path.with_name(f"{path.name}-wal")
        if not no_shm or (wal.exists() and wal.stat().st_size):
            raise
        return _connect(path, "immutable=1", READER_BUSY_S)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, or be unable to: the first error is the one to tell.
        with suppress(sqlite3.Error):
            db.rollback()
        raise


def is_corrupt(error: BaseException) -> bool:
    """Tell whether the file is no usable database, which no waiting heals."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.DatabaseError) and code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def move_aside(path: Path) -> Path:
    """Rename a corrupt database and what belongs to it, and return its new name; SQLite can still open it there."""
    aside = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
