"""The tables of history.db, and how an older file becomes one of today.

Instants are whole microseconds since 1970 UTC, durations whole microseconds: exact, and sorted as numbers.
"""

import sqlite3

from supervisor.errors import JobvisorError

MIGRATIONS = (
    # 1: one row an attempt, the saved state of each slot, facts about the installation. ``final`` is 1 for the one
    # row that settles its due time, 0 where a retry followed, null while either may come. AUTOINCREMENT, because an
    # id is never given again, also when its row has been pruned.
    """
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL,
        instance INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        node TEXT,
        due_at INTEGER,
        started_at INTEGER,
        ended_at INTEGER,
        duration INTEGER,
        outcome TEXT,
        final INTEGER,
        attempt INTEGER NOT NULL,
        trigger TEXT NOT NULL,
        exit_code INTEGER,
        signal INTEGER,
        cpu INTEGER,
        max_rss INTEGER,
        reason TEXT,
        fingerprint TEXT,
        error_type TEXT,
        error_message TEXT,
        error_file TEXT,
        error_line INTEGER,
        traceback TEXT,
        output TEXT
    );
    CREATE INDEX runs_of_job ON runs (job);
    CREATE INDEX runs_unfinished ON runs (run_id) WHERE ended_at IS NULL OR final IS NULL;
    CREATE INDEX runs_failed ON runs (job, fingerprint) WHERE fingerprint IS NOT NULL;
    CREATE TABLE slots (
        job TEXT NOT NULL,
        instance INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        saved TEXT NOT NULL,
        PRIMARY KEY (job, instance, lane)
    ) WITHOUT ROWID;
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # 2: the stacks of a run that took too long.
    "ALTER TABLE runs ADD COLUMN stack TEXT",
    # 3: the saved state of each group.
    "CREATE TABLE groups (name TEXT PRIMARY KEY, saved TEXT NOT NULL) WITHOUT ROWID",
)
"""Script n makes a file of version n - 1 one of version n. A released one is never edited; a change is a new one."""

VERSION = len(MIGRATIONS)


class NewerSchemaError(JobvisorError):
    """The file was written by a newer Jobvisor than this one."""


class OlderSchemaError(JobvisorError):
    """A reader met a file that no supervisor of this version has opened yet."""


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of an open file; 0 is an empty one.

    Raises:
        NewerSchemaError: the file is newer than this program.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        path = db.execute("PRAGMA database_list").fetchone()[2]
        raise NewerSchemaError(
            f"cannot use {path}: it was written by a newer Jobvisor (schema {found}; this one knows up to {VERSION}); "
            "install that version again, or move the file away and begin a new history"
        )
    return found


def migrate(db: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring an open file up to date, each step in a transaction of its own: one that is cut short is done again.

    Raises:
        NewerSchemaError: the file is newer than this program.
    """
    for version, script in enumerate(migrations[version_of(db) :], start=version_of(db) + 1):
        try:
            db.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {version};COMMIT;")
        except sqlite3.Error:
            if db.in_transaction:
                db.rollback()
            raise
