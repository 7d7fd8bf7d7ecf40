import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.clean_unregistered_users import clean
from jobs.users import DatabaseError, text, transaction


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database with one user of each sort."""
    path = str(tmp_path / "users.db")
    now = datetime.now(UTC)
    old, new, later = text(now - timedelta(days=8)), text(now - timedelta(days=6)), text(now)
    with transaction(path) as connection:
        connection.execute("DELETE FROM users")
        connection.executemany(
            "INSERT INTO users (email, registered_at, confirmed_at) VALUES (?, ?, ?)",
            [("old", old, None), ("new", new, None), ("old, confirmed", old, old), ("old, confirmed late", old, later)],
        )
    return path


def emails(database: str) -> set[str]:
    with transaction(database) as connection:
        return {email for (email,) in connection.execute("SELECT email FROM users")}


def test_deletes_those_who_did_not_confirm_within_the_days_and_nobody_else(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clean(database, within_days=7)
    assert emails(database) == {"new", "old, confirmed", "old, confirmed late"}
    assert capsys.readouterr().out == "deleted 1 users not confirmed within 7 days\n"


def test_a_second_run_finds_nothing_to_delete(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    clean(database)
    capsys.readouterr()
    clean(database)
    assert capsys.readouterr().out == "deleted 0 users not confirmed within 7 days\n"


@pytest.mark.parametrize("days", [0, -1])
def test_no_days_at_all_is_refused_before_anybody_is_deleted(database: str, days: float) -> None:
    with pytest.raises(ValueError, match=f"^within_days is {days}; it must be more than 0$"):
        clean(database, within_days=days)
    assert len(emails(database)) == 4


def test_a_database_without_users_in_it_is_a_failure_and_stays_as_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "other.db")
    with closing(sqlite3.connect(path)) as other:
        other.executescript("PRAGMA user_version = 1; CREATE TABLE orders (id INTEGER)")
    with pytest.raises(DatabaseError, match=f"^{path}: no such table: users$"):
        clean(path)


def test_in_the_demo_database_some_go_and_most_stay(tmp_path: Path) -> None:
    path = str(tmp_path / "users.db")
    clean(path)
    assert 40 <= len(emails(path)) < 60
