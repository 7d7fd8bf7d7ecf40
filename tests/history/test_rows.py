import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from samples import ATTEMPTS, BOOM, CLOSED, FEED, INSTANTS, NOON, NOT_RUN, SAVED, WORDS, attempt, closed, opened

from supervisor.core.exits import Usage, signal_name
from supervisor.core.runs import (
    Attempt,
    Closed,
    Finalized,
    Forgotten,
    NotRun,
    Opened,
    Outcome,
    Printed,
    Record,
    Saved,
    SlotId,
)
from supervisor.history import query
from supervisor.history.files import open_for_writing, transaction
from supervisor.history.recovery import look
from supervisor.history.rows import fingerprint, write
from supervisor.history.values import to_text

anything = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Rows:
    """A database, and how it reads after some records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db, _ = open_for_writing(path)

    def write(self, *records: Record) -> list[tuple[Record, Exception]]:
        with transaction(self.db):
            return write(self.db, records)

    def empty(self) -> None:
        self.db.executescript("DELETE FROM runs; DELETE FROM slots")

    def run(self, run_id: int) -> dict[str, Any]:
        found = query.run(self.path, run_id)
        assert found is not None
        return found

    def finals(self) -> dict[int, bool | None]:
        return {row["run_id"]: self.run(row["run_id"])["final"] for row in query.runs(self.path)}


@pytest.fixture
def rows() -> Iterator[Rows]:
    with TemporaryDirectory() as folder:
        rows = Rows(Path(folder) / "history.db")
        with closing(rows.db):
            yield rows


def iso(at: Any) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def identity(run: Attempt) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "job": run.slot.job,
        "instance": run.slot.instance,
        "lane": run.slot.lane,
        "node": None,
        "due_at": iso(run.due_at),
        "attempt": run.attempt,
        "trigger": run.trigger.value,
    }


@anything
@given(ATTEMPTS, INSTANTS)
def test_an_opened_run_is_a_row_without_an_end(rows: Rows, run: Attempt, started_at: Any) -> None:
    rows.empty()
    rows.write(Opened(run=run, started_at=started_at))
    found = rows.run(run.run_id)
    assert found.items() >= identity(run).items()
    assert found["started_at"] == iso(started_at)
    assert (found["ended_at"], found["outcome"], found["final"]) == (None, None, None)


@anything
@given(CLOSED)
def test_a_closed_run_reads_back_exactly(rows: Rows, row: Closed) -> None:
    rows.empty()
    assert rows.write(Opened(run=row.run, started_at=row.started_at), row) == []
    found, usage, error = rows.run(row.run.run_id), row.usage, row.error
    assert found.items() >= identity(row.run).items()
    assert found["started_at"] == iso(row.started_at)
    assert found["ended_at"] == iso(row.ended_at)
    assert found["duration_s"] == (None if row.outcome is Outcome.LOST else row.duration / timedelta(seconds=1))
    assert found["outcome"] == row.outcome.value
    assert found["final"] is (True if row.final else None)
    assert found["exit_code"] == row.exit_code
    assert found["signal"] == (None if row.signal is None else signal_name(row.signal))
    assert found["cpu_s"] == (usage.cpu / timedelta(seconds=1) if usage else None)
    assert found["max_rss_bytes"] == ((usage.max_rss or None) if usage else None)
    assert found["reason"] == (None if row.reason is None else to_text(row.reason))
    if error is None:
        assert found["error"] is None
    else:
        assert found["error"]["type"] == to_text(error.type)
        assert found["error"]["message"] == to_text(error.message)
        assert found["error"]["file"] == (None if error.file is None else to_text(error.file))
        assert found["error"]["line"] == error.line
        assert found["error"]["fingerprint"] == to_text(error.fingerprint)
        assert (found["traceback"] or "") == to_text(error.traceback)


@anything
@given(NOT_RUN)
def test_a_due_time_that_was_not_run_is_a_final_row_without_a_start(rows: Rows, row: NotRun) -> None:
    rows.empty()
    rows.write(row)
    found = rows.run(row.run.run_id)
    assert found.items() >= identity(row.run).items()
    assert (found["started_at"], found["duration_s"], found["final"]) == (None, None, True)
    assert (found["ended_at"], found["outcome"]) == (iso(row.at), row.outcome.value)
    assert found["reason"] == to_text(row.reason)


@anything
@given(SAVED)
def test_a_saved_slot_is_kept_until_it_is_forgotten(rows: Rows, saved: Saved) -> None:
    rows.empty()
    rows.write(Saved(slot=saved.slot), saved)
    assert look(rows.db, NOON, pytest.fail).saved == {saved.slot: saved}
    rows.write(Forgotten(slot=saved.slot))
    assert look(rows.db, NOON, pytest.fail).saved == {}


@anything
@given(WORDS, WORDS)
def test_the_last_lines_of_output_are_kept_with_the_run(rows: Rows, first: str, last: str) -> None:
    lines = tuple(line.replace("\n", "") for line in (first, last))
    rows.empty()
    rows.write(closed(1, Outcome.FAILED), Printed(run_id=1, lines=lines))
    assert rows.run(1)["output"] == [to_text(line) for line in lines]


@anything
@given(CLOSED)
def test_writing_records_twice_changes_nothing(rows: Rows, row: Closed) -> None:
    rows.empty()
    records = (Opened(run=row.run, started_at=row.started_at), row, Printed(run_id=row.run.run_id, lines=("x",)))
    rows.write(*records)
    once = rows.run(row.run.run_id)
    rows.write(*records)
    assert rows.run(row.run.run_id) == once


def test_a_retry_leaves_one_final_row_the_last(rows: Rows) -> None:
    rows.write(opened(1), closed(1, Outcome.FAILED, final=False))
    assert rows.finals() == {1: None}
    rows.write(opened(2, number=2), closed(2, Outcome.FAILED, number=2, final=False), opened(3, number=3))
    assert rows.finals() == {3: None, 2: False, 1: False}
    rows.write(closed(3, number=3))
    assert rows.finals() == {3: True, 2: False, 1: False}


def test_a_dropped_retry_makes_the_failed_attempt_final(rows: Rows) -> None:
    rows.write(opened(1), closed(1, Outcome.FAILED, final=False), Finalized(run_id=1))
    assert rows.finals() == {1: True}


def test_a_retry_of_a_lost_run_takes_its_finality_away(rows: Rows) -> None:
    rows.write(opened(1), closed(1, Outcome.LOST), opened(2, number=2))
    assert rows.finals() == {2: None, 1: False}


def test_a_retry_touches_no_other_due_time_or_instance(rows: Rows) -> None:
    earlier, second = NOON - timedelta(hours=1), SlotId("feed", 2)
    rows.write(closed(1, due_at=earlier), closed(2, slot=second), closed(3, Outcome.FAILED), opened(4, number=2))
    assert rows.finals() == {4: None, 3: False, 2: True, 1: True}


def test_a_due_time_that_came_twice_after_a_clock_step_keeps_both_final_rows(rows: Rows) -> None:
    rows.write(closed(1), closed(2, Outcome.FAILED, final=False), opened(3, number=2), closed(3, number=2))
    assert rows.finals() == {3: True, 2: False, 1: True}


def test_a_record_that_no_database_can_hold_does_not_hold_up_the_others(rows: Rows) -> None:
    huge = closed(2, usage=Usage(max_rss=2**80))
    refused = rows.write(closed(1), huge, closed(3))
    assert [record for record, _ in refused] == [huge]
    assert rows.finals() == {3: True, 1: True}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (closed(1), None),
        (closed(1, Outcome.STOPPED, exit_code=1, error=BOOM), None),
        (closed(1, Outcome.FAILED, exit_code=1, error=BOOM), "ValueError@/app/jobs/feed.py:42"),
        (closed(1, Outcome.FAILED, exit_code=3), "exit 3"),
        (closed(1, Outcome.FAILED, reason="chdir: No such file or directory"), "chdir: No such file or directory"),
        (closed(1, Outcome.FAILED), "failed"),
        (closed(1, Outcome.KILLED, signal=9), "SIGKILL"),
        (closed(1, Outcome.TIMEOUT, signal=15, reason="timeout", error=BOOM), "timeout"),
        (closed(1, Outcome.LOST, reason="supervisor ended before the run did"), "lost"),
    ],
)
def test_failures_that_belong_together_have_one_fingerprint(row: Closed, expected: str | None) -> None:
    assert fingerprint(row) == expected


def test_an_id_is_never_given_again_though_its_row_is_gone(rows: Rows) -> None:
    rows.write(opened(41, slot=FEED))
    rows.db.execute("DELETE FROM runs")
    assert look(rows.db, NOON, pytest.fail).next_run_id == 42


def test_a_transaction_that_fails_leaves_nothing(rows: Rows) -> None:
    def broken() -> Iterator[Record]:
        yield Opened(run=attempt(1), started_at=NOON)
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError), transaction(rows.db):
        write(rows.db, broken())
    assert query.runs(rows.path) == []
    assert not rows.db.in_transaction
