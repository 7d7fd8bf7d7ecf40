import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import eventually
from disks import disk, remount
from samples import BOOM, NOON, Writer, closed, opened, write

from supervisor.core.exits import ErrorRecord, Usage
from supervisor.core.runs import Dumped, NotRun, Outcome, Printed, SlotId
from supervisor.errors import JobvisorError
from supervisor.history import query
from supervisor.values import replace

WEB = SlotId("web")
SECOND = SlotId("web", 2)
CONTRACT = """
run_id, job, instance, node, due_at, started_at, ended_at, duration_s, outcome, attempt, trigger, exit_code, signal,
cpu_s, max_rss_bytes, reason, error
"""
KEYS = [key.strip() for key in CONTRACT.split(",")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def ids(path: Path, **asked: object) -> list[int]:
    return [row["run_id"] for row in query.runs(path, **asked)]  # type: ignore[arg-type]


def test_a_history_that_does_not_exist_yet_is_empty_and_stays_so(path: Path) -> None:
    assert query.runs(path) == []
    assert query.errors(path) == []
    assert query.run(path, 1) is None
    assert query.median_durations(path, ["feed"]) == {}
    assert query.recorded_jobs(path) == []
    assert not path.exists()


def test_a_row_has_every_key_in_order_and_null_for_what_is_not_known(path: Path) -> None:
    write(path, opened(1))
    [row] = query.runs(path)
    assert list(row) == KEYS
    assert row == dict.fromkeys(KEYS) | {
        "run_id": 1,
        "job": "feed",
        "instance": 1,
        "due_at": "2026-12-01T12:00:00Z",
        "started_at": "2026-12-01T12:00:00Z",
        "attempt": 1,
        "trigger": "schedule",
    }


def test_a_failed_row_tells_how_it_failed(path: Path) -> None:
    usage = Usage(cpu=timedelta(milliseconds=1500), max_rss=24 << 20)
    ended_at = NOON + timedelta(microseconds=250_001)
    write(path, closed(1, Outcome.FAILED, ended_at=ended_at, exit_code=1, usage=usage, error=BOOM))
    [row] = query.runs(path)
    assert list(row) == KEYS
    assert row["ended_at"] == "2026-12-01T12:00:00.250001Z"
    assert (row["duration_s"], row["cpu_s"], row["max_rss_bytes"]) == (2.0, 1.5, 25165824)
    assert (row["outcome"], row["exit_code"], row["signal"]) == ("failed", 1, None)
    assert row["error"] == {
        "type": "ValueError",
        "message": "boom",
        "file": "/app/jobs/feed.py",
        "line": 42,
        "fingerprint": "ValueError@/app/jobs/feed.py:42",
    }


def test_a_signal_is_told_by_its_name(path: Path) -> None:
    write(path, closed(1, Outcome.KILLED, signal=9))
    assert query.runs(path)[0]["signal"] == "SIGKILL"


def test_one_run_comes_with_its_traceback_output_and_stack(path: Path) -> None:
    printed = Printed(run_id=1, lines=("reading", "", "boom"))
    write(path, opened(1), Dumped(run_id=1, stack="Thread …"), closed(1, Outcome.FAILED, error=BOOM), printed)
    row = query.run(path, 1)
    assert row is not None
    assert list(row) == [*KEYS, "lane", "final", "traceback", "output", "stack"]
    assert (row["traceback"], row["output"], row["final"]) == ("Traceback …", ["reading", "", "boom"], True)
    assert row["stack"] == "Thread …"
    assert query.run(path, 2) is None


def test_rows_come_newest_first_by_job_instance_failure_and_page(path: Path) -> None:
    missed = NotRun(run=opened(5).run, at=NOON, outcome=Outcome.MISSED, reason="paused")
    write(
        path,
        closed(1),
        closed(2, Outcome.FAILED, slot=WEB),
        closed(3, slot=SECOND),
        closed(4, Outcome.STOPPED, exit_code=1, slot=WEB),
        missed,
        opened(6),
        closed(7, Outcome.LOST),
    )
    assert ids(path) == [7, 6, 5, 4, 3, 2, 1]
    assert ids(path, limit=2) == [7, 6]
    assert ids(path, limit=2, before=6) == [5, 4]
    assert ids(path, failed=True) == [7, 2]
    assert ids(path, jobs=["web"]) == [4, 3, 2]
    assert ids(path, jobs=["web:2"]) == [3]
    assert ids(path, jobs=["web:2", "feed"], limit=3) == [7, 6, 5]
    assert ids(path, jobs=["feed", "web"], failed=True, before=7) == [2]
    assert ids(path, jobs=[]) == []
    assert ids(path, jobs=["nobody"]) == []
    assert ids(path, jobs=[f"job{n}" for n in range(3000)] + [f"job{n}:2" for n in range(3000)] + ["web:2"]) == [3]
    assert query.recorded_jobs(path) == ["feed", "web"]


def test_failures_are_grouped_by_job_and_place(path: Path) -> None:
    later = ErrorRecord(type="ValueError", message="boom again", file=BOOM.file, line=42)
    minute = timedelta(minutes=1)
    write(
        path,
        closed(1, Outcome.FAILED, error=BOOM),
        closed(2, Outcome.KILLED, signal=11, slot=WEB, ended_at=NOON + minute),
        closed(3, Outcome.FAILED, error=later, ended_at=NOON + 2 * minute),
        closed(4, ended_at=NOON + 3 * minute),
        closed(5, Outcome.FAILED, error=BOOM, slot=WEB),
    )
    groups = query.errors(path)
    assert [(group["job"], group["fingerprint"], group["count"]) for group in groups] == [
        ("feed", "ValueError@/app/jobs/feed.py:42", 2),
        ("web", "SIGSEGV", 1),
        ("web", "ValueError@/app/jobs/feed.py:42", 1),
    ]
    assert groups[0] == {
        "job": "feed",
        "fingerprint": "ValueError@/app/jobs/feed.py:42",
        "count": 2,
        "first_at": "2026-12-01T12:00:00Z",
        "last_at": "2026-12-01T12:02:00Z",
        "last_run_id": 3,
        "outcome": "failed",
        "type": "ValueError",
        "message": "boom again",
        "file": "/app/jobs/feed.py",
        "line": 42,
    }
    assert [group["job"] for group in query.errors(path, jobs=["web"])] == ["web", "web"]
    assert query.errors(path, jobs=["web:2"]) == []


def test_the_median_is_that_of_good_runs(path: Path) -> None:
    process = closed(5, due_at=None)
    slow = replace(process, duration=timedelta(hours=2))
    write(path, closed(1), closed(2, Outcome.FAILED), opened(3), closed(4, slot=WEB), slow)
    assert query.median_durations(path, ["feed", "nobody"]) == {"feed": timedelta(seconds=2)}


def test_a_reader_sees_what_is_acknowledged_while_the_writer_writes(path: Path) -> None:
    with Writer(path) as writer:
        for run_id in range(1, 301):
            writer.keep(opened(run_id, due_at=None), closed(run_id, due_at=None))
            known = set(writer.acknowledged)
            assert known <= set(ids(path))
        eventually(lambda: len(writer.acknowledged) == 300)
        assert writer.history.trouble is None


def test_a_long_read_holds_up_no_writer(path: Path) -> None:
    write(path, closed(1))
    with query.reading(path) as db, Writer(path) as writer:
        assert db is not None
        db.execute("BEGIN")
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 1
        writer.keep(opened(2))
        eventually(lambda: writer.acknowledged == [2])
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 1
        db.execute("COMMIT")
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 2


def test_a_reader_cannot_write(path: Path) -> None:
    write(path, closed(1))
    with query.reading(path) as db:
        assert db is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            db.execute("DELETE FROM runs")


def test_a_history_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "2m") as folder:
        write(folder / "history.db", closed(1))
        remount(folder, "ro")
        assert ids(folder / "history.db") == [1]


def test_a_crashed_history_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "2m") as folder:
        with Writer(tmp_path / "history.db") as writer:
            writer.keep(opened(1), closed(1))
            eventually(lambda: writer.acknowledged)
            for name in ("history.db", "history.db-wal", "history.db-shm"):
                (folder / name).write_bytes((tmp_path / name).read_bytes())
        remount(folder, "ro")
        assert ids(folder / "history.db") == [1]


def test_a_file_that_is_no_database_is_an_error_that_names_it(path: Path) -> None:
    path.write_text("not a database, " * 100)
    with pytest.raises(JobvisorError, match=r"cannot read .*history\.db: file is not a database"):
        query.runs(path)


def test_what_cannot_be_opened_is_an_error_that_names_it(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JobvisorError, match=r"cannot read .*history\.db: "):
        query.runs(path)


_READ = """
import os, sys
from pathlib import Path
from supervisor.errors import JobvisorError
from supervisor.history import query
os.setresuid(65534, 65534, 65534)
try:
    query.runs(Path(sys.argv[1]))
except JobvisorError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_that_the_folder_is_closed_to_him(path: Path) -> None:
    write(path, closed(1))
    path.parent.chmod(0o700)
    done = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot read {path}: Permission denied\n"
