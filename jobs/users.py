"""The users of the example application: a real SQLite database, made and filled the first time it is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SCHEMA_VERSION = 1
_SCHEMA = (
    """
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        email TEXT NOT NULL UNIQUE,
        registered_at TEXT NOT NULL,
        confirmed_at TEXT
    )
    """,
    """
    CREATE TABLE daily_totals (
        day TEXT PRIMARY KEY,
        registered INTEGER NOT NULL,
        confirmed INTEGER NOT NULL,
        users INTEGER NOT NULL
    )
    """,
)
_DEMO_USERS = 60
LOCKED_FOR_MOST = 5.0
"""Seconds to wait for another process that writes."""


class DatabaseError(Exception):
    """The database cannot be used: the text says which, and why."""


@contextmanager
def transaction(database: str, *, patience: float = LOCKED_FOR_MOST) -> Iterator[sqlite3.Connection]:
    """Give a connection within a transaction: all of it is done at the end, or, after an exception, nothing.

    A database that is not there yet, or is empty, first gets its tables and some users. Two processes that open it at
    once are no trouble: the second waits, up to ``patience`` seconds, and finds the tables.

    Raises:
        DatabaseError: it cannot be made, opened, read or written, or another process holds it for too long.
    """
    try:
        path = Path(database)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                _make_tables(connection)
                yield connection
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"{database}: {error}") from error


def text(at: datetime) -> str:
    """Return a time as the database keeps it: UTC to the second, so that texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _make_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _SCHEMA_VERSION:
        return
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO users (email, registered_at, confirmed_at) VALUES (?, ?, ?)", _demo_users(datetime.now(UTC))
    )
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _demo_users(now: datetime) -> list[tuple[str, str, str | None]]:
    """Return users registered over the last twenty days, of whom every third never confirmed."""
    rows = []
    for number in range(_DEMO_USERS):
        registered = now - timedelta(hours=8 * number)
        confirmed = None if number % 3 == 0 else text(registered + timedelta(hours=1))
        rows.append((f"user{number}@example.org", text(registered), confirmed))
    return rows
