"""What an operator reads after a failure, and after an order that had nothing to do."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

FAILS = """
def run():
    for number in range(60):
        print("line", number)
    fall()


def fall():
    raise ValueError("no such thing")
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_the_record_of_a_failure_holds_all_that_is_known(app: Program) -> None:
    app.write('[jobs.fails]\nrun = "jobs.fails:run"\nrestart = "never"\n', fails=FAILS)
    app.run()
    app.eventually_job("fails", state="failed")
    [row] = app.json("history", "fails")
    assert (row["outcome"], row["exit_code"], row["signal"], row["attempt"]) == ("failed", 1, None, 1)
    assert row["duration_s"] > 0
    assert row["cpu_s"] > 0
    assert row["max_rss_bytes"] > 1 << 20
    error = row["error"]
    assert (error["type"], error["message"]) == ("ValueError", "no such thing")
    assert (error["file"], error["line"]) == (str(app.folder / "jobs" / "fails.py"), 9)
    told = eventually(lambda: (run := app.json("show", "fails")["error"]) and run["output"] and run)
    assert len(told["output"]) == 50
    assert any("no such thing" in line for line in told["output"])
    assert told["traceback"].splitlines()[-1] == "ValueError: no such thing"
    [group] = app.json("errors")
    assert group["count"] == 1


def test_a_handler_that_hides_the_signal_of_a_time_out_is_told_with_its_code(app: Program) -> None:
    command = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
    app.write(
        f'[jobs.slow]\ncommand = ["sh", "-c", {json.dumps(command)}]\nevery = "1h"\nrun_at_start = true\n'
        'timeout = "2s"\n'
    )
    app.run()
    last = eventually(lambda: app.job("slow")["last"])
    assert (last["outcome"], last["exit_code"], last["signal"]) == ("timeout", 7, "SIGTERM")
    with sqlite3.connect(f"file:{app.folder}/.jobvisor/history.db?mode=ro", uri=True) as db:
        eventually(lambda: db.execute("SELECT exit_code, signal FROM runs").fetchall() == [(7, 15)])


def test_an_order_that_changes_nothing_says_so(app: Program) -> None:
    app.write('[jobs.web]\ncommand = ["sleep", "600"]\nsettle = "50ms"\n')
    app.run()
    pid = app.eventually_job("web", state="running", health="ok")["pid"]
    done = app.ctl("start", "web")
    assert (done.returncode, done.stdout) == (0, f"web: already running, pid {pid}\n")
    assert app.ctl("stop", "web").returncode == 0
    done = app.ctl("stop", "web")
    assert (done.returncode, done.stdout) == (0, "web: already stopped\n")
