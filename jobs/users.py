"""The users of the example application: a real SQLite database, made and filled where there is none."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    registered_at TEXT NOT NULL,
    confirmed_at TEXT
);
CREATE TABLE daily_totals (
    day TEXT PRIMARY KEY,
    users INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    registered_that_day INTEGER NOT NULL
);
"""
_DEMO_USERS = 60


def connect(database: str) -> sqlite3.Connection:
    """Return a connection to the database; it is created with some users the first time.

    Raises:
        sqlite3.OperationalError: the file cannot be opened or is locked for longer than 5 s.
    """
    path = Path(database)
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5)
    if is_new:
        with connection:
            connection.executescript(SCHEMA)
            connection.executemany(
                "INSERT INTO users (email, registered_at, confirmed_at) VALUES (?, ?, ?)", _demo_users()
            )
    return connection


def _demo_users() -> list[tuple[str, str, str | None]]:
    """Return users registered over the last twenty days, of whom every third never confirmed."""
    now = datetime.now(UTC)
    rows = []
    for number in range(_DEMO_USERS):
        registered = now - timedelta(hours=8 * number)
        confirmed = None if number % 3 == 0 else (registered + timedelta(hours=1)).isoformat()
        rows.append((f"user{number}@example.org", registered.isoformat(), confirmed))
    return rows


def count(database: str) -> int:
    """Return how many users there are."""
    with closing(connect(database)) as connection:
        (users,) = connection.execute("SELECT count(*) FROM users").fetchone()
        return int(users)
