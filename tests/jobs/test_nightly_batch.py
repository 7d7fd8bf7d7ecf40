from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs.nightly_batch import aggregate, store
from jobs.users import transaction

DAY = date(2026, 3, 29)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database with users around one day."""
    path = str(tmp_path / "users.db")
    users = [
        ("a", "2026-03-28T23:59:59+00:00", "2026-03-29T00:00:00+00:00"),
        ("b", "2026-03-29T00:00:00+00:00", None),
        ("c", "2026-03-29T23:59:59+00:00", "2026-03-30T00:00:00+00:00"),
        ("d", "2026-03-30T00:00:00+00:00", None),
    ]
    with transaction(path) as connection:
        connection.execute("DELETE FROM users")
        connection.executemany("INSERT INTO users (email, registered_at, confirmed_at) VALUES (?, ?, ?)", users)
    return path


def rows(database: str) -> list[tuple[str, int, int, int]]:
    with transaction(database) as connection:
        return connection.execute("SELECT day, registered, confirmed, users FROM daily_totals ORDER BY day").fetchall()


def test_counts_a_day_from_its_first_to_its_last_second(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    store(database, DAY)
    assert rows(database) == [("2026-03-29", 2, 1, 3)]
    assert capsys.readouterr().out == "2026-03-29: 2 registered, 1 confirmed, 3 users in all\n"


def test_a_second_run_for_a_day_replaces_its_row(database: str) -> None:
    store(database, DAY)
    with transaction(database) as connection:
        connection.execute("DELETE FROM users WHERE email = 'b'")
    store(database, DAY)
    assert rows(database) == [("2026-03-29", 1, 1, 2)]


def test_a_run_made_up_later_counts_the_day_before_it_was_due(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBVISOR_DUE", "2026-03-30T00:30:00+00:00")
    aggregate(database)
    assert rows(database) == [("2026-03-29", 2, 1, 3)]


def test_by_hand_it_counts_yesterday(database: str) -> None:
    yesterday = [(datetime.now(UTC) - timedelta(days=1)).date().isoformat()]
    aggregate(database)
    assert [row[0] for row in rows(database)] in (
        yesterday,
        [(datetime.now(UTC) - timedelta(days=1)).date().isoformat()],  # midnight came in between
    )
