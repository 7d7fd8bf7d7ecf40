import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from disks import disk, remount
from samples import FEED, NOON, Writer, attempt, closed, opened, write

from supervisor.core.exits import Usage
from supervisor.core.runs import Closed, Outcome, Record, Saved, SlotId
from supervisor.history import query
from supervisor.history.backlog import CAPACITY
from supervisor.history.database import Database

RUNS = 1000


def ids(path: Path) -> set[int]:
    return {row["run_id"] for row in query.runs(path)}


def failing(writer: Writer) -> str:
    return eventually(lambda: writer.history.trouble)


def healed(writer: Writer) -> bool:
    return writer.history.trouble is None


def test_a_run_is_acknowledged_in_the_loop_once_its_row_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    threads: list[int] = []
    with Writer(path) as writer:
        writer.history._acknowledged = lambda told: (threads.append(threading.get_ident()), ids(path) >= set(told))
        writer.keep(opened(1))
        eventually(lambda: threads)
    assert threads == [writer._thread.ident]
    assert ids(path) == {1}


def test_records_without_an_opening_are_written_and_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        writer.keep(closed(1), Saved(slot=FEED))
        writer.keep(opened(2))
        eventually(lambda: writer.acknowledged)
    assert writer.acknowledged == [2]
    assert ids(path) == {1, 2}


def test_a_burst_is_acknowledged_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        for run_id in range(1, RUNS + 1):
            writer.keep(Saved(slot=FEED, runs=run_id), opened(run_id, due_at=None))
        eventually(lambda: len(writer.acknowledged) == RUNS)
    assert writer.acknowledged == list(range(1, RUNS + 1))
    assert len(ids(path)) == RUNS
    with Writer(path) as writer:
        assert writer.recovered.saved == {FEED: Saved(slot=FEED, runs=RUNS)}


def test_close_writes_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        for run_id in range(1, 501):
            writer.keep(closed(run_id))
    assert len(ids(path)) == 500
    assert writer.warnings == []


def test_a_clean_end_leaves_one_file(tmp_path: Path) -> None:
    write(tmp_path / "history.db", closed(1))
    assert [file.name for file in tmp_path.iterdir()] == ["history.db"]


def test_a_quiet_history_never_wakes(tmp_path: Path) -> None:
    with Writer(tmp_path / "history.db") as writer:
        writer.keep(opened(1))
        eventually(lambda: writer.acknowledged)
        thread = next(task for task in threading.enumerate() if task.name == "history")
        status = Path(f"/proc/self/task/{thread.native_id}/status")
        counts: list[str] = []
        eventually(lambda: counts.append(_switches(status)) or counts[-2:-1] == counts[-1:])
        threading.Event().wait(0.5)  # nothing must happen meanwhile, and nothing can be waited for
        assert _switches(status) == counts[-1]


def _switches(status: Path) -> str:
    """Return how often a thread has been put to sleep and woken (proc_pid_status(5))."""
    text = status.read_text()
    return text[text.index("voluntary_ctxt_switches") :]


def test_a_record_that_cannot_be_stored_is_named_and_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        writer.keep(opened(2**70))
        writer.keep(closed(1, usage=Usage(max_rss=2**80)))
        writer.keep(opened(2))
        eventually(lambda: writer.acknowledged)
        eventually(lambda: len(writer.warnings) == 2)
        assert healed(writer)
    assert writer.acknowledged == [2]
    assert all("cannot store" in warning for warning in writer.warnings)
    assert ids(path) == {2}


# -- foul weather ------------------------------------------------------------------------------------------------------


def test_a_foreign_lock_is_told_and_sat_out(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writer.keep(opened(1))
            said = failing(writer)
            assert "history not writable since 20" in said
            assert "database is locked (1 records waiting, 0 dropped)" in said
            assert writer.acknowledged == []
            other.execute("COMMIT")
        eventually(lambda: writer.acknowledged == [1])
        eventually(lambda: healed(writer))
        eventually(lambda: len(writer.warnings) == 2)
    assert "locked" in writer.warnings[0]
    assert "writable again" in writer.warnings[1]
    assert ids(path) == {1}


def test_a_start_under_a_foreign_lock_still_knows_the_past(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1), Saved(slot=FEED, held=True))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Writer(path) as writer:
            assert failing(writer)
            assert writer.recovered.next_run_id == 2
            assert writer.recovered.saved[FEED].held
            assert [row.run.run_id for row in writer.recovered.lost] == [1]
            writer.keep(opened(2))
            other.execute("COMMIT")
            eventually(lambda: writer.acknowledged == [2])
            row = query.run(path, 1)
            assert row is not None
            assert (row["outcome"], row["final"]) == ("lost", True)
            row = query.run(path, 2)
            assert row is not None
            assert row["outcome"] is None


def test_a_start_without_any_disk_gives_ids_that_were_never_given(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    path = folder / "history.db"
    with Writer(path) as writer:
        assert "No such file or directory" in failing(writer)
        first = writer.recovered.next_run_id
        assert first == int(NOON.timestamp())
        writer.keep(opened(first))
        folder.mkdir()
        eventually(lambda: writer.acknowledged == [first])
        eventually(lambda: healed(writer))
    with Writer(path) as again:
        assert again.recovered.next_run_id == first + 1
        assert again.recovered.installation == writer.recovered.installation


def test_a_full_disk_costs_no_record_and_heals(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "1m") as folder:
        path, ballast = folder / "history.db", folder / "ballast"
        with Writer(path) as writer:
            writer.keep(opened(1))
            eventually(lambda: writer.acknowledged)
            _fill(ballast)
            writer.keep(*(closed(n, reason="x" * 200) for n in range(2, 2000)))
            assert "full" in failing(writer)
            assert "(1998 records waiting, 0 dropped)" in eventually(lambda: writer.history.trouble)
            ballast.unlink()
            eventually(lambda: healed(writer))
            writer.keep(opened(2000))
            eventually(lambda: writer.acknowledged == [1, 2000])
        assert ids(path) == set(range(1, 2001))


def _fill(ballast: Path) -> None:
    with ballast.open("wb") as file:
        disk_free = os.statvfs(ballast)
        os.posix_fallocate(file.fileno(), 0, disk_free.f_bavail * disk_free.f_frsize)


def test_a_start_on_a_full_disk_supervises_all_the_same(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "1m") as folder:
        path, ballast = folder / "history.db", folder / "ballast"
        write(path, closed(1), opened(2), Saved(slot=FEED, held=True))
        _fill(ballast)
        with Writer(path) as writer:
            assert failing(writer)
            assert writer.recovered.next_run_id == 3
            assert writer.recovered.saved[FEED].held
            ballast.unlink()
            eventually(lambda: healed(writer))
            row = query.run(path, 2)
            assert row is not None
            assert row["outcome"] == "lost"


def test_a_disk_that_turns_read_only_is_told_and_heals(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "1m") as folder:
        path = folder / "history.db"
        write(path, closed(1), opened(2))
        remount(folder, "ro")
        with Writer(path) as writer:
            assert failing(writer)
            assert writer.recovered.next_run_id == 3
            assert [row.run.run_id for row in writer.recovered.lost] == [2]
            remount(folder, "rw")
            writer.keep(opened(3))
            eventually(lambda: writer.acknowledged == [3])
        assert [row["outcome"] for row in query.runs(path)] == [None, "lost", "ok"]


def test_memory_is_bounded_and_the_oldest_records_go(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for run_id in range(1, CAPACITY + 501):
                writer.keep(opened(run_id, due_at=None), Saved(slot=FEED, runs=run_id))
            eventually(lambda: f"({CAPACITY + 1} records waiting, 500 dropped)" in (writer.history.trouble or ""))
            other.execute("COMMIT")
        eventually(lambda: healed(writer))
        eventually(lambda: len(writer.acknowledged) == CAPACITY)
        eventually(lambda: any("500 records were dropped" in warning for warning in writer.warnings))
    assert writer.acknowledged == list(range(501, CAPACITY + 501))
    assert min(ids(path)) == 501


def test_a_healthy_disk_takes_however_many_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    many = range(1, 3 * CAPACITY + 1)
    with Writer(path) as writer:
        writer.history.keep([opened(run_id, due_at=None) for run_id in many], many)
        writer.keep(opened(many.stop, due_at=None))
        eventually(lambda: len(writer.acknowledged) == many.stop)
        assert not writer.history.trouble
        assert not writer.warnings
    assert ids(path) == {*many, many.stop}


def test_what_a_disk_that_hangs_has_cost_is_said_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not fail: a write takes its time."""
    monkeypatch.setattr("supervisor.history.thread.HANGS_AFTER_S", 0.0)
    path = tmp_path / "history.db"
    written = Database.write
    answers = threading.Event()

    def slow(database: Database, records: Iterable[Record]) -> list[tuple[Record, Exception]]:
        answers.wait()
        return written(database, records)

    monkeypatch.setattr(Database, "write", slow)
    with Writer(path) as writer:
        writer.keep(opened(1, due_at=None))
        eventually(lambda: not len(writer.history.unwritten))
        for run_id in range(2, CAPACITY + 7):
            writer.keep(opened(run_id, due_at=None))
        assert len(writer.history.unwritten) == CAPACITY
        answers.set()
        eventually(lambda: any("5 records were dropped" in warning for warning in writer.warnings))
    assert ids(path) == {1, *range(7, CAPACITY + 7)}


def test_what_a_closing_history_could_not_write_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with Writer(path) as writer:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        writer.keep(closed(1))
        failing(writer)
    other.close()
    assert "1 records of the history were not written: database is locked" in writer.warnings[-1]


# -- what is no database any more --------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"not a database, " * 100, b"\0" * 8192], ids=["text", "zeros"])
def test_a_corrupt_file_is_moved_aside_and_said_loudly(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(junk)
    with Writer(path) as writer:
        first = writer.recovered.next_run_id
        assert first >= int(NOON.timestamp())
        assert writer.recovered.saved == {}
        writer.keep(opened(first))
        eventually(lambda: writer.acknowledged == [first])
        eventually(lambda: writer.warnings)
    [aside] = tmp_path.glob("history.db.corrupt-*")
    assert aside.read_bytes() == junk
    assert str(aside) in writer.warnings[0]
    assert ids(path) == {first}


def test_what_can_be_read_of_a_corrupt_file_is_not_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    held = Saved(slot=FEED, held=True, cursor=NOON)
    first = write(path, *(closed(n) for n in range(1, 200)), opened(200), held)
    _spoil(path, "runs_unfinished")
    with Writer(path) as writer:
        assert writer.recovered.saved == {FEED: held}
        assert writer.recovered.installation == first.installation
        assert writer.recovered.next_run_id > 200
        assert healed(writer)
    with Writer(path) as again:
        assert again.recovered.saved == {FEED: held}
        assert again.recovered.installation == first.installation
        assert again.recovered.next_run_id > 200


def _spoil(path: Path, name: str) -> None:
    """Overwrite the root page of a table or an index with junk."""
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        [size] = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))


def test_a_file_that_breaks_while_in_use_is_replaced_and_no_job_forgets(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    kept = {FEED: Saved(slot=FEED, held=True), SlotId("web"): Saved(slot=SlotId("web"), runs=4)}
    first = write(path, *(closed(n) for n in range(1, 200)), *kept.values())
    with Writer(path) as writer:
        eventually(lambda: healed(writer))
        _break_schema(path)
        for run_id in range(1000, 1100):
            writer.keep(opened(run_id))
        eventually(lambda: len(writer.acknowledged) == 100)
        eventually(lambda: healed(writer))
    assert len(list(tmp_path.glob("history.db.corrupt-*Z"))) == 1
    assert any("corrupt" in warning for warning in writer.warnings)
    assert ids(path) == set(range(1000, 1100))
    with Writer(path) as again:
        assert again.recovered.saved == kept
        assert again.recovered.installation == first.installation


def _break_schema(path: Path) -> None:
    """Make the next look at the schema, by any connection, find nonsense."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        [version] = db.execute("PRAGMA schema_version").fetchone()
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE nonsense' WHERE name = 'runs'")
        db.execute(f"PRAGMA schema_version = {version + 1}")


def test_a_file_that_somebody_has_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    kept = Saved(slot=FEED, held=True)
    with Writer(path) as writer:
        writer.keep(opened(1), kept)
        eventually(lambda: writer.acknowledged == [1])
        path.unlink()
        writer.keep(closed(1, Outcome.FAILED), opened(2))
        eventually(lambda: writer.acknowledged == [1, 2])
    assert "gone" in writer.warnings[0]
    assert [row["outcome"] for row in query.runs(path)] == [None, "failed"]
    with Writer(path) as again:
        assert again.recovered.saved == {FEED: kept}


def test_an_end_whose_opening_was_lost_is_a_whole_row(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    row = Closed(
        run=attempt(7),
        started_at=datetime(2026, 12, 1, 11, 0, tzinfo=UTC),
        ended_at=NOON,
        duration=NOON - datetime(2026, 12, 1, 11, 0, tzinfo=UTC),
        outcome=Outcome.OK,
    )
    write(path, row)
    found: dict[str, Any] | None = query.run(path, 7)
    assert found is not None
    assert (found["job"], found["started_at"], found["duration_s"]) == ("feed", "2026-12-01T11:00:00Z", 3600)
