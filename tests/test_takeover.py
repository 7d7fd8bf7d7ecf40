"""After a supervisor was killed, the next one starts nothing before the last of the old jobs is gone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import descendants, eventually, is_alive
from program import Program, program

CLINGS = """
import fcntl, os, signal, sys, time
def run():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("only-one", "w") as only:
        try:
            fcntl.flock(only, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            open("two-at-once", "w").close()
        print("up", os.getpid(), flush=True)
        time.sleep(1000)
"""
JOB = '[jobs.web]\nrun = "jobs.clings:run"\nstop_timeout = "1500ms"\nsettle = "100ms"\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_a_job_that_takes_its_time_to_stop_is_waited_for(app: Program) -> None:
    app.write(JOB, clings=CLINGS)
    app.run()
    eventually(lambda: "up" in app.output("web"))
    old = app.job("web")["pid"]
    os.kill(app.pid, signal.SIGKILL)
    app.run()
    assert not is_alive(old)
    assert "the supervisor before this one was killed; waiting until its jobs have been stopped" in app.log
    app.eventually_job("web", state="running", health="ok")
    assert not (app.folder / "two-at-once").exists()


def test_a_clean_end_leaves_nothing_to_wait_for(app: Program) -> None:
    app.write(JOB, clings=CLINGS)
    app.run()
    app.end()
    app.run()
    assert "waiting until" not in app.log


def test_a_preload_that_hangs_does_not_outlive_its_supervisor(app: Program) -> None:
    app.write(
        '[supervisor]\npreload = ["jobs.hangs"]\n' + JOB,
        clings=CLINGS,
        hangs="import time\nopen(__file__ + '.hanging', 'w').close()\ntime.sleep(1000)\n",
    )
    app.run()
    eventually((app.folder / "jobs" / "hangs.py.hanging").exists)
    family = descendants(app.pid)
    os.kill(app.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, family)))
