"""``jobvisor exec``: one run on this terminal, as it would be under supervision."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import descendants, eventually, is_alive
from program import program
from shell import Shell

CODE = """
import json, os, resource, signal, subprocess, sys, time
from supervisor import Worker, job

def tells():
    print(json.dumps({
        "cwd": os.getcwd(), "path": sys.path[0], "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "greeting": os.environ["GREETING"], "stdin": sys.stdin.read(), "umask": os.umask(0),
        "job": [job.name, job.instance, job.run_id, job.attempt, job.trigger, job.due is not None],
    }))

def says(*args, **kwargs):
    print(args, kwargs)
    print("to stderr", file=sys.stderr)

def leaves(code): sys.exit(code)
def dies(): os.kill(os.getpid(), signal.SIGKILL)
def raises(): raise ValueError("no such thing")

def sleeps():
    print("up", flush=True)
    time.sleep(1000)

def ends_well():
    signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
    sleeps()

def stubborn():
    signal.signal(signal.SIGINT, lambda *_: os.write(1, b"not yet\\n"))  # print may be at it
    print("up", flush=True)
    while True:
        time.sleep(1000)

def leaves_something():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)

def counts():
    last = job.last_checkpoint or 0
    print("from", last)
    job.checkpoint(last + 1)
    job.heartbeat()
    job.progress(1, 2)

class Clock(Worker):
    def __init__(self, step=1):
        self.step = step
    def start(self):
        print("start", flush=True)
    def tick(self):
        print("tick", self.step)

class Careful(Clock):
    def stop(self, reason):
        print("stop", reason)

class Broken(Clock):
    def tick(self):
        raise ValueError("no such thing")
"""


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def job(jobvisor: Shell, what: str, more: str = "") -> None:
    jobvisor.write(f'[jobs.web]\nrun = "jobs.acts:{what}"\n{more}', acts=CODE)


@contextmanager
def running(jobvisor: Shell) -> Iterator["subprocess.Popen[str]"]:
    """Give an ``exec`` that waits, once its job has said a word."""
    with jobvisor.start("exec", "web") as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_job_runs_once_with_its_environment_and_its_limits(jobvisor: Shell) -> None:
    given = 'cwd = "sub"\numask = "027"\nenv = { GREETING = "hello" }\nlimits = { open_files = 60 }\n'
    job(jobvisor, "tells", 'every = "1h"\n' + given)
    (jobvisor.folder / "sub").mkdir()
    done = jobvisor("exec", "web")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "cwd": str(jobvisor.folder / "sub"),
        "path": str(jobvisor.folder),
        "nofile": 60,
        "greeting": "hello",
        "stdin": "",
        "umask": 0o027,
        "job": ["web", 1, 0, 1, "manual", True],
    }
    assert not (jobvisor.folder / ".jobvisor").exists()


def test_both_streams_are_the_terminals_own(jobvisor: Shell) -> None:
    job(jobvisor, "says", 'args = [1]\nkwargs = { when = "now" }\nlog = "null"\n')
    done = jobvisor("exec", "web")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1,) {'when': 'now'}\n"
    assert done.stderr == "to stderr\n"


@pytest.mark.parametrize(
    ("what", "more", "code"),
    [("leaves", "args = [5]", 5), ("leaves", "args = [0]", 0), ("dies", "", 137), ("raises", "", 1)],
)
def test_the_exit_code_is_the_runs(jobvisor: Shell, what: str, more: str, code: int) -> None:
    job(jobvisor, what, more + '\nrestart = "always"\n')
    assert jobvisor("exec", "web").returncode == code


def test_a_command_is_run_too(jobvisor: Shell) -> None:
    jobvisor.write(
        '[jobs.web]\ncommand = "echo $JOBVISOR_JOB:$JOBVISOR_INSTANCE; exit 3"\nshell = true\ninstances = 3\n'
    )
    done = jobvisor("exec", "web:2")
    assert (done.returncode, done.stdout, done.stderr) == (3, "web:2\n", "")
    assert jobvisor("exec", "web").stdout == "web:1\n"


def test_a_start_that_fails_says_why_and_is_1(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.web]\ncommand = ["/no/such/program"]\n')
    done = jobvisor("exec", "web")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "web: exec: No such file or directory: /no/such/program\n"


def test_what_is_wrong_before_is_said_as_ever(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.web]\ncommand = "true"\n[jobs.wax]\ncommand = "true"\n')
    unknown = jobvisor("exec", "wbe")
    assert (unknown.returncode, unknown.stderr) == (4, 'no job "wbe"; did you mean "web"?\n')
    several = jobvisor("exec", "w*")
    assert (several.returncode, several.stderr) == (2, "2 are meant (web, wax); name one of them\n")
    jobvisor.write('[jobs.web]\ncomand = "true"\n')
    bad = jobvisor("exec", "web")
    assert bad.returncode == 1
    assert "jobs.web.comand: unknown key" in bad.stderr


def test_an_interrupt_reaches_the_job(jobvisor: Shell) -> None:
    job(jobvisor, "ends_well")
    with running(jobvisor) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 7


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_ends_the_job_is_in_the_exit_code(jobvisor: Shell, number: int, code: int) -> None:
    job(jobvisor, "sleeps")
    with running(jobvisor) as process:
        process.send_signal(number)
        assert process.wait(60) == code


def test_a_second_interrupt_kills(jobvisor: Shell) -> None:
    job(jobvisor, "stubborn", 'stop_timeout = "none"\n')
    with running(jobvisor) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "not yet\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 137


def test_a_killed_exec_leaves_nothing(jobvisor: Shell) -> None:
    job(jobvisor, "sleeps")
    with running(jobvisor) as process:
        family = descendants(process.pid)
        assert len(family) == 2
        process.kill()
        eventually(lambda: not any(map(is_alive, family)))


def test_what_a_run_leaves_behind_ends_with_it(jobvisor: Shell) -> None:
    job(jobvisor, "leaves_something")
    assert jobvisor("exec", "web").returncode == 0
    assert not descendants(os.getpid())


@pytest.mark.parametrize(("what", "said"), [("Clock", "start\ntick 2\n"), ("Careful", "start\ntick 2\nstop stop\n")])
def test_a_scheduled_worker_gets_one_tick_and_is_stopped(jobvisor: Shell, what: str, said: str) -> None:
    job(jobvisor, what, 'every = "1h"\nargs = [2]\n')
    done = jobvisor("exec", "web")
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_a_tick_that_raises_is_1(jobvisor: Shell) -> None:
    job(jobvisor, "Broken", 'every = "1h"\n')
    done = jobvisor("exec", "web")
    assert done.returncode == 1
    assert "ValueError: no such thing" in done.stderr


def test_a_worker_without_a_schedule_lives_until_it_is_interrupted(jobvisor: Shell) -> None:
    job(jobvisor, "Careful")
    with running(jobvisor) as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "stop stop\n"
        assert process.returncode == 0


def test_a_checkpoint_is_kept_and_found_by_the_next(jobvisor: Shell) -> None:
    job(jobvisor, "counts")
    assert [jobvisor("exec", "web").stdout for _ in range(3)] == ["from 0\n", "from 1\n", "from 2\n"]
    assert (jobvisor.folder / ".jobvisor").stat().st_mode & 0o777 == 0o700


def test_it_runs_beside_a_supervisor_which_does_not_notice(jobvisor: Shell) -> None:
    with program(jobvisor.folder) as app:
        app.write(
            '[jobs.web]\nrun = "jobs.acts:sleeps"\n'
            '[jobs.other]\ncommand = "echo other"\nshell = true\nenabled = false\n',
            acts=CODE,
        )
        app.run()
        pid = app.eventually_job("web", state="running")["pid"]
        done = jobvisor("exec", "other")
        assert (done.returncode, done.stdout) == (0, "other\n")
        assert app.job("web")["pid"] == pid
        assert [row["job"] for row in app.json("history")] == ["web"]
