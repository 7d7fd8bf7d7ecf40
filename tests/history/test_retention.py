from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import eventually
from samples import FEED, NOON, Writer, closed, opened, write

from supervisor.core.runs import Outcome, Saved, SlotId
from supervisor.history import query, rows
from supervisor.history.files import open_for_writing, transaction
from supervisor.history.retention import CHUNK, OVERDUE, Retention, jobs_of, prune

EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Table:
    """A database with what tests of retention ask of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db, _ = open_for_writing(path)

    def write(self, *records: rows.Record) -> None:
        with transaction(self.db):
            assert rows.write(self.db, records) == []

    def prune(self, job: str = "feed", *, oldest: datetime = EVER, keep_runs: int = 1000) -> int:
        with transaction(self.db):
            return prune(self.db, job, oldest=oldest, keep_runs=keep_runs)

    def left(self) -> list[int]:
        return [run_id for (run_id,) in self.db.execute("SELECT run_id FROM runs ORDER BY run_id")]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "history.db")
    with closing(table.db):
        yield table


def test_the_newest_runs_of_a_job_stay(table: Table) -> None:
    other = SlotId("web")
    table.write(*(closed(n, slot=other if n % 2 else FEED) for n in range(1, 11)))
    table.prune(keep_runs=2)
    assert table.left() == [1, 3, 5, 7, 8, 9, 10]


def test_rows_that_are_too_old_go_though_they_are_few(table: Table) -> None:
    table.write(*(closed(n, ended_at=NOON + timedelta(days=n)) for n in range(1, 6)))
    table.prune(oldest=NOON + timedelta(days=3))
    assert table.left() == [3, 4, 5]


def test_an_open_row_and_one_whose_retry_waits_stay(table: Table) -> None:
    table.write(opened(1), closed(2, Outcome.FAILED, final=False), *(closed(n) for n in range(3, 8)))
    table.prune(oldest=NOON + timedelta(days=9), keep_runs=1)
    assert table.left() == [1, 2]


def test_the_newest_row_of_each_living_slot_stays(table: Table) -> None:
    second = SlotId("feed", 2)
    table.write(Saved(slot=FEED), Saved(slot=second), closed(1, slot=second), *(closed(n) for n in range(2, 6)))
    table.prune(oldest=NOON + timedelta(days=9), keep_runs=1)
    assert table.left() == [1, 5]


def test_the_rows_of_a_removed_job_all_go_in_the_end(table: Table) -> None:
    table.write(closed(1), closed(2))
    table.prune(oldest=NOON + timedelta(days=9))
    assert table.left() == []


def test_a_transaction_deletes_a_chunk_and_the_oldest_first(table: Table) -> None:
    table.write(*(closed(n) for n in range(1, CHUNK + 101)))
    assert table.prune(keep_runs=10) == CHUNK
    assert table.left() == list(range(CHUNK + 1, CHUNK + 101))
    assert table.prune(keep_runs=10) == 90
    assert table.prune(keep_runs=10) == 0
    assert len(table.left()) == 10


def test_jobs_are_found_by_name_once_each(table: Table) -> None:
    assert jobs_of(table.db) == []
    table.write(closed(1), closed(2, slot=SlotId("web")), closed(3), closed(4, slot=SlotId("backup")))
    assert jobs_of(table.db) == ["backup", "feed", "web"]


def test_a_job_is_looked_through_after_so_many_ends_and_all_jobs_once_a_day(table: Table) -> None:
    retention = Retention(timedelta(days=30), 5)
    assert retention.is_pending(NOON)
    retention.work(table.db, NOON)
    assert not retention.is_pending(NOON)
    retention.count(["feed"] * (OVERDUE - 1))
    assert not retention.is_pending(NOON)
    retention.count(["feed"])
    assert retention.is_pending(NOON)
    retention.work(table.db, NOON)
    assert not retention.is_pending(NOON + timedelta(hours=23))
    assert retention.is_pending(NOON + timedelta(hours=24))


def test_the_thread_prunes_at_its_start_and_as_runs_end(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    now = datetime.now(UTC)
    write(path, *(closed(n, ended_at=now) for n in range(1, 501)))
    with Writer(path, keep=timedelta(days=30), keep_runs=50) as writer:
        eventually(lambda: len(query.runs(path)) == 50)
        for n in range(501, 501 + OVERDUE):
            writer.keep(closed(n, ended_at=now))
        eventually(lambda: [row["run_id"] for row in query.runs(path)] == list(range(600, 550, -1)))
        writer.history.retain(timedelta(days=30), 7)
        eventually(lambda: len(query.runs(path)) == 7)
