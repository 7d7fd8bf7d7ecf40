"""Signals in the first and the last moments of a supervisor, which is held up there by what it waits for."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, handles, program

SLEEPER = '[jobs.sleeper]\ncommand = ["sleep", "600"]\n'
PRELOADING = '[supervisor]\npreload = ["jobs.slow"]\n' + SLEEPER
SLOW = "import pathlib, time\npathlib.Path(__file__).with_name('here').touch()\ntime.sleep(1000)\n"
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def begin(app: Program, *options: str) -> "subprocess.Popen[str]":
    """Start a supervisor, and return as soon as it handles all signals that are for it."""
    with (app.folder / "run.log").open("a") as log:
        app.supervisor = subprocess.Popen(
            [*JOBVISOR, "-f", "jobs.toml", "run", *options],
            cwd=app.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    eventually(lambda: handles(app.pid, signal.SIGUSR2))  # the last of them
    return app.supervisor


@contextmanager
def jobs_of_another(app: Program) -> Iterator[None]:
    """Hold what the fork server of a killed supervisor does: the next one waits for that, its manifest read."""
    state = app.folder / ".jobvisor"
    state.mkdir(mode=0o700, exist_ok=True)
    with (state / "jobs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("options", [(), ("--output",)])
def test_a_stop_before_the_manifest_is_read_ends_it_cleanly(app: Program, number: int, options: tuple[str]) -> None:
    os.mkfifo(app.folder / "jobs.toml")
    supervisor = begin(app, *options)
    supervisor.send_signal(number)
    assert supervisor.wait(60) == 0
    assert app.log == ""


@pytest.mark.parametrize("number", STOPS)
def test_a_stop_while_it_waits_for_the_jobs_of_another_ends_it_cleanly(app: Program, number: int) -> None:
    app.write(SLEEPER)
    with jobs_of_another(app):
        supervisor = begin(app)
        eventually(lambda: "waiting until its jobs have been stopped" in app.log)
        supervisor.send_signal(number)
        assert supervisor.wait(60) == 0
    assert "Traceback" not in app.log
    assert not (app.folder / ".jobvisor" / "control.sock").exists()


def test_a_reload_that_is_asked_for_before_the_loop_turns_is_done_then(app: Program) -> None:
    app.write(SLEEPER)
    with jobs_of_another(app):
        supervisor = begin(app)
        eventually(lambda: "waiting until its jobs have been stopped" in app.log)
        app.write(SLEEPER + '[jobs.added]\ncommand = ["sleep", "600"]\n')
        for number in (signal.SIGHUP, signal.SIGUSR1):
            supervisor.send_signal(number)
    eventually(lambda: "reload: added added" in app.log)
    assert app.job("added")["runs"] == 1


def test_a_stop_that_comes_where_python_swallows_what_is_raised_is_kept_without_a_word() -> None:
    """As in a callback of a weak reference, of which an import has many."""
    code = """
import os, signal
from supervisor.signals import early

class Odd:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()

early.stand()
Odd(lambda: os.kill(os.getpid(), signal.SIGTERM))
print(early._came)
Odd(lambda: 1 / 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"[{signal.SIGTERM.value}]\n"
    assert done.stderr.count("Exception ignored") == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("delay", [step / 100 for step in range(0, 60, 4)])
def test_a_stop_at_any_moment_of_a_start_ends_it_cleanly(app: Program, delay: float) -> None:
    app.write(SLEEPER)
    supervisor = begin(app)
    time.sleep(delay)  # whatever it has come to by then
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert "Traceback" not in app.log


def test_a_stop_that_is_asked_for_again_and_again_is_still_a_clean_end(app: Program) -> None:
    app.write(SLEEPER)
    supervisor = app.run()
    while supervisor.poll() is None:
        supervisor.send_signal(signal.SIGTERM)
    assert supervisor.returncode == 0
    assert "Exception ignored" not in app.log


def test_signals_after_the_end_change_it_in_no_thread_that_is_left() -> None:
    """Such as one that writes the supervisor's own log to a disk that hangs."""
    code = """
import asyncio, os, signal, threading, time
from supervisor import signals

threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
signals.early.stand()
signals.early.wait_for_the_loop()
heard = []

async def main():
    loop = asyncio.get_running_loop()
    signals.early.hand_over(loop, {number: lambda: heard.append(1) for number in (*signals.ALL, signal.SIGCHLD)})
    os.kill(os.getpid(), signal.SIGTERM)
    while not heard:
        await asyncio.sleep(0.01)
    signals.ignore()

asyncio.run(main())
for number in signals.ALL:
    os.kill(os.getpid(), number)
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_a_stop_while_modules_are_preloaded_does_not_wait_for_them(app: Program) -> None:
    app.write(PRELOADING, slow=SLOW)
    supervisor = begin(app)
    eventually((app.folder / "jobs" / "here").exists)
    eventually(lambda: '"state": "starting"' in app.ctl("status", "--json").stdout)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    [run] = json.loads(app.ctl("history", "sleeper", "--json").stdout)
    assert run["outcome"] == "stopped"


def test_a_job_can_be_stopped_while_modules_are_preloaded(app: Program) -> None:
    app.write(PRELOADING, slow=SLOW)
    app.run()
    app.eventually_job("sleeper", state="starting")
    assert app.ctl("stop", "sleeper").returncode == 0
    assert app.job("sleeper")["state"] == "stopped"
    assert app.ctl("start", "--no-wait", "sleeper").returncode == 0
    app.eventually_job("sleeper", state="starting")
