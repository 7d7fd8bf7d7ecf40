"""A disk that is full, read-only, slow or corrupt costs records and lines, never a run; it is said, and it heals."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from disks import disk, remount
from tampering import TRACED, fill, tampered
from witness import Witnessed, witnessed

TALKER = """
[jobs.talker]
command = "while :; do echo line; sleep 0.05; done"
shell = true
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Witnessed]:
    with disk(tmp_path / "disk", "2M"), witnessed(tmp_path) as made:
        yield made


def rows(app: Witnessed) -> int:
    return len(app.json("history", "beat", "-n", "100000"))


def test_a_full_disk_under_history_and_logs(app: Witnessed) -> None:
    app.supervise(TALKER, settings='state_dir = "disk/state"')
    talks = app.folder / "disk" / "state" / "logs" / "talker.log"
    eventually(lambda: talks.exists() and talks.stat().st_size)
    hog = fill(app.folder / "disk")
    app.warns("history not writable", "full")
    app.warns("lines of talker dropped", "No space left on device")
    app.goes_on()
    assert "history not writable" in app.log
    assert "lines of talker dropped" in app.log
    assert app.job("talker")["state"] == "running"
    hog.unlink()
    app.heals("history")
    app.heals("talker")
    app.goes_on()
    assert "history writable again; 0 records were dropped" in app.log
    beats = app.beats
    eventually(lambda: rows(app) >= beats)


@TRACED
@pytest.mark.parametrize(("error", "words"), [("EROFS", "Read-only file system"), ("EIO", "Input/output error")])
def test_a_disk_that_turns_read_only_or_breaks_under_history_and_logs(app: Witnessed, error: str, words: str) -> None:
    """By strace: a file system that somebody writes to cannot be remounted by hand, only by the kernel."""
    app.supervise(TALKER, settings='state_dir = "disk/state"')
    calls = "write,writev,pwrite64,fsync,fdatasync,ftruncate"
    wal, talks = (app.folder / "disk" / "state" / name for name in ("history.db-wal", "logs/talker.log"))
    with (
        tampered(app.pid, "-P", str(wal), "-e", f"inject={calls}:error={error}"),
        tampered(app.part("logs.process"), "-P", str(talks), "-e", f"inject={calls}:error={error}"),
    ):
        app.warns("history not writable")
        app.warns("lines of talker dropped", words)
        app.goes_on()
    app.heals("history")
    app.heals("talker")
    app.goes_on()
    beats = app.beats
    eventually(lambda: rows(app) >= beats)


def test_a_start_on_a_read_only_disk_is_refused_in_a_sentence(app: Witnessed) -> None:
    remount(app.folder / "disk", "ro")
    app.write('[supervisor]\nstate_dir = "disk/state"\n[jobs.a]\ncommand = "true"\n')
    done = app.ctl("run")
    assert done.returncode == 1
    assert f"cannot create {app.folder}/disk/state: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    remount(app.folder / "disk", "rw")


def test_a_locked_history(app: Witnessed) -> None:
    app.supervise("", settings='state_dir = "disk/state"')
    other = sqlite3.connect(app.folder / "disk" / "state" / "history.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    app.warns("history not writable", "locked")
    app.goes_on()
    other.execute("ROLLBACK")
    other.close()
    app.heals("history")
    assert "history writable again" in app.log


def test_a_history_that_breaks_while_in_use(app: Witnessed) -> None:
    app.supervise('[jobs.held]\ncommand = ["sleep", "1000"]\n', settings='state_dir = "disk/state"')
    assert app.ctl("stop", "held").returncode == 0
    database = app.folder / "disk" / "state" / "history.db"
    eventually(lambda: rows(app) >= 3)
    for path in (database, database.with_name("history.db-wal")):
        with path.open("r+b") as file:
            file.write(os.urandom(16384))
    eventually(lambda: "is corrupt: it lies in" in app.log)
    app.goes_on()
    app.heals("history not writable")
    assert list(database.parent.glob("history.db.corrupt-*"))
    eventually(lambda: rows(app) >= 3)
    app.end()
    app.supervise('[jobs.held]\ncommand = ["sleep", "1000"]\n', settings='state_dir = "disk/state"')
    assert app.job("held")["state"] == "stopped"


@TRACED
def test_a_history_on_a_slow_disk_delays_no_run_by_more_than_its_patience(app: Witnessed) -> None:
    app.supervise("", settings='state_dir = "disk/state"')
    with tampered(app.pid, "-e", "inject=fsync,fdatasync:delay_enter=2500000"):
        app.goes_on()  # each run waits a second for its row, no longer
        assert app.ctl("status").returncode == 0
    app.goes_on()


@TRACED
def test_logs_on_a_slow_disk_are_said_and_hold_up_no_other_job(app: Witnessed) -> None:
    app.supervise(TALKER, settings='state_dir = "disk/state"')
    with tampered(app.part("logs.process"), "-e", "inject=write:delay_enter=3000000"):
        app.warns("log: the log process has not answered since")
        app.goes_on()
    app.heals("the log process has not answered")
    assert "log: the log process answers again" in app.log


@TRACED
def test_the_supervisors_own_log_on_a_slow_disk_holds_up_nothing(app: Witnessed) -> None:
    own = app.folder / "own.log"
    app.supervise("", settings='log = { level = "DEBUG", file = "own.log" }')
    eventually(own.exists)
    with tampered(app.pid, "-P", str(own), "-e", "inject=write:delay_enter=10000000"):
        app.goes_on()  # with lines for the log at each run, while a single one takes ten seconds
        assert app.ctl("stop", "beat").returncode == 0
        assert "beat: stopped" in app.log
        assert "beat: stopped" not in own.read_text()
    eventually(lambda: "beat: stopped" in own.read_text())
