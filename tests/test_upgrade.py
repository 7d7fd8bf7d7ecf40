"""``jobvisor upgrade``: another version goes on in the same process, and no job notices."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from conftest import children, eventually, is_alive
from manager import manager
from program import JOBVISOR
from upgrading import Installed, installed

UPGRADES = int(os.environ.get("UPGRADES", "3"))
"""In a row, under load; ``make chaos`` does more."""
HELPERS = 3
"""The fork server that still has jobs from before the first upgrade, that of now, and the log process."""
AT_WORK = 12
"""Descriptors more or less, for the runs that are under way at a moment."""
JOBS = """
import time
from pathlib import Path
from supervisor import Worker, job

def write():
    with open("lines.txt", "a", buffering=1) as file:
        for number in range(1, 1_000_000):
            print(f"line {number}", flush=True)
            file.write(f"{number}\\n")
            time.sleep(0.003)

def count():
    for number in range(1, 1_000_000):
        print(f"line {number}", flush=True)
        time.sleep(0.2)

def sleep():
    time.sleep(1000)

def mark():
    with open("marks.txt", "a") as file:
        file.write(f"{job.run_id}\\n")

def fail():
    mark()
    print("last words of", job.run_id)
    raise ValueError("no")

class Clock(Worker):
    def __init__(self):
        self.ticks = 0
    def tick(self):
        self.ticks += 1
        print(f"tick {self.ticks}")
        mark()
"""
MANIFEST = """
[jobs.writer]
run = "jobs.all:write"
[jobs.clock]
run = "jobs.all:Clock"
every = "300ms"
[jobs.often]
run = "jobs.all:mark"
every = "200ms"
overlap = "queue"
[jobs.bad]
run = "jobs.all:fail"
every = "700ms"
retries = 1
backoff = { initial = "100ms", jitter = 0 }
[jobs.victim]
run = "jobs.all:sleep"
backoff = { initial = "50ms", jitter = 0 }
settle = "10ms"
[jobs.asked]
run = "jobs.all:mark"
every = "1d"
overlap = "allow"
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    with installed(tmp_path, monkeypatch) as made:
        yield made


def test_upgrades_under_load_keep_pid_jobs_lines_ends_and_due_times(app: Installed) -> None:
    app.write(MANIFEST, all=JOBS)
    pid = app.run().pid
    writer = app.eventually_job("writer", state="running")["pid"]
    clock = eventually(lambda: app.job("clock")["pid"])
    app.eventually_job("victim", state="running")
    assert app.ctl("upgrade").returncode == 0
    eventually(lambda: len(children(pid)) == HELPERS)
    fds = open_fds(pid) + AT_WORK
    is_over = Event()
    load = Thread(target=_load, args=(app, is_over))
    load.start()
    try:
        for _ in range(UPGRADES):
            version, before = app.bump(), app.job("often")["runs"]
            done = app.ctl("upgrade")
            assert done.returncode == 0, done.stderr + app.log
            assert f"to {version} (pid {pid})" in done.stdout
            assert app.running_version == version
            eventually(lambda before=before: app.job("often")["runs"] > before + 1)
    finally:
        is_over.set()
        load.join()
    assert app.pid == pid
    assert app.ctl("restart", "victim").returncode == 0, "it may be the last one of a fork server in between"
    eventually(lambda: len(children(pid)) == HELPERS)
    eventually(lambda: open_fds(pid) <= fds)
    assert app.job("writer")["pid"] == writer
    assert app.job("clock")["pid"] == clock
    until = datetime.now(UTC)
    app.ctl("shutdown")
    _is_whole([int(line) for line in (app.folder / "lines.txt").read_text().split()])
    logged = app.output("writer").splitlines()
    _is_whole([int(line.rpartition(" ")[2]) for line in logged])
    _is_whole([int(line.rpartition(" ")[2]) for line in app.output("clock").splitlines()])
    rows = app.json("history", "-n", "100000")
    assert {row["outcome"] for row in rows} <= {"ok", "failed", "killed", "stopped", "skipped", "missed"}
    missed = [row for row in rows if row["outcome"] == "missed" and datetime.fromisoformat(row["due_at"]) < until]
    assert {row["reason"] for row in missed} <= {"the supervisor was held up"}
    assert all(row["ended_at"] for row in rows)
    final = Counter(
        (row["job"], row["due_at"])
        for row in rows
        if row["due_at"] and not (row["outcome"] == "failed" and row["attempt"] == 1)
    )
    assert set(final.values()) == {1}
    for job, step in (("often", 0.2), ("clock", 0.3), ("bad", 0.7)):
        is_gapless(job, step, rows, until)
    marks = Counter(map(int, (app.folder / "marks.txt").read_text().split()))
    assert set(marks.values()) == {1}
    assert set(marks) <= {row["run_id"] for row in rows}
    assert "Traceback" not in app.log


def is_gapless(job: str, step: float, rows: list[dict[str, Any]], until: datetime) -> None:
    """Fail unless each due time of a job has a row, from the first to a stop: what waits in that has one at a start."""
    found = {datetime.fromisoformat(row["due_at"]) for row in rows if row["job"] == job and row["due_at"]}
    dues = sorted(due for due in found if due < until)
    assert {after - before for before, after in pairwise(dues)} == {timedelta(seconds=step)}


def _load(app: Installed, is_over: Event) -> None:
    """Start, end, kill and trigger until told."""
    for number in count():
        if is_over.is_set():
            return
        app.ctl("trigger", "asked")
        app.ctl("restart" if number % 3 else "signal", "victim", *(() if number % 3 else ("KILL",)))


def open_fds(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


MANY = 100
"""Jobs of each kind."""


def test_hundreds_of_jobs_go_on_each_with_its_lines_and_its_due_times(app: Installed) -> None:
    tables = [f'[jobs.writer{n}]\nrun = "jobs.all:count"\nsettle = "10ms"\n' for n in range(MANY)]
    tables += [f'[jobs.worker{n}]\nrun = "jobs.all:Clock"\nevery = "1s"\n' for n in range(MANY)]
    tables += [f'[jobs.often{n}]\nrun = "jobs.all:mark"\nevery = "2s"\n' for n in range(MANY)]
    app.write("".join(tables), all=JOBS)
    app.run()
    eventually(lambda: {job["state"] for job in app.json("status")["jobs"]} <= {"running", "waiting"})
    before = {job["name"]: job["pid"] for job in app.json("status")["jobs"] if not job["name"].startswith("often")}
    for _ in range(2):
        version = app.bump()
        done = app.ctl("upgrade")
        assert done.returncode == 0, done.stderr
        assert app.running_version == version
        runs = app.job("often0")["runs"]
        eventually(lambda runs=runs: app.job("often0")["runs"] > runs)
    after = {job["name"]: job["pid"] for job in app.json("status")["jobs"] if job["name"] in before}
    assert after == before
    assert app.json("status")["warnings"] == []
    until = datetime.now(UTC)
    app.ctl("shutdown")
    rows = app.json("history", "-n", "100000")
    final = Counter((row["job"], row["due_at"]) for row in rows if row["due_at"])
    assert set(final.values()) == {1}
    for number in range(MANY):
        _is_whole([int(line.rpartition(" ")[2]) for line in app.output(f"writer{number}").splitlines()])
        is_gapless(f"worker{number}", 1, rows, until)
        is_gapless(f"often{number}", 2, rows, until)
    marks = Counter(map(int, (app.folder / "marks.txt").read_text().split()))
    assert set(marks.values()) == {1}
    assert set(marks) <= {row["run_id"] for row in rows}
    assert "Traceback" not in app.log


def _is_whole(numbers: list[int]) -> None:
    """Fail unless each number is there once, in order."""
    assert numbers == list(range(1, len(numbers) + 1))


ONE = '[jobs.web]\nrun = "jobs.all:sleep"\nsettle = "10ms"\n'


def test_usr2_upgrades_too(app: Installed) -> None:
    app.write(ONE, all=JOBS)
    app.run()
    job = app.eventually_job("web", state="running")["pid"]
    version = app.bump()
    os.kill(app.pid, signal.SIGUSR2)
    eventually(lambda: app.running_version == version)
    assert app.job("web")["pid"] == job


@pytest.mark.parametrize(
    ("module", "old", "new", "why"),
    [
        ("boot.py", "import os\n", "import os\nimport nowhere\n", "No module named 'nowhere'"),
        ("handover.py", "FORMAT = 1", "FORMAT = 2", "it reads format 2 of the board, not 1"),
        ("core/runs.py", "    trigger: Trigger\n", "    cause: Trigger\n", "Attempt has unknown fields: trigger"),
    ],
)
def test_a_version_that_cannot_go_on_is_refused_and_the_old_one_goes_on(
    app: Installed, module: str, old: str, new: str, why: str
) -> None:
    app.write(ONE, all=JOBS)
    app.run()
    job = app.eventually_job("web", state="running")["pid"]
    before = app.running_version
    app.edit(module, old, new)
    refused = app.ctl("upgrade")
    assert refused.returncode == 1
    assert refused.stderr.startswith("upgrade refused: ")
    assert why in refused.stderr
    assert f"version {before} goes on, and no job was touched" in refused.stderr
    app.edit(module, new, old)
    assert app.job("web")["pid"] == job
    assert app.ctl("restart", "web").returncode == 0
    assert not is_alive(job)


def test_an_exec_that_fails_changes_nothing(app: Installed, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    app.write(ONE + '[jobs.often]\nrun = "jobs.all:mark"\nevery = "200ms"\n', all=JOBS)
    app.edit(
        "handover.py",
        '    return json.dumps({"takes_over": True',
        "    os.unlink(environ['VANISHES'])\n    return json.dumps({\"takes_over\": True",
    )
    environ = {
        **os.environ,
        "VANISHES": str(python),
        "PYTHONPATH": os.pathsep.join((str(app.package.parent), *sys.path)),
    }
    with (tmp_path / "run.log").open("a") as log:
        app.supervisor = subprocess.Popen(
            [python, *JOBVISOR[1:], "run"], cwd=tmp_path, env=environ, stdout=log, stderr=subprocess.STDOUT, text=True
        )
    eventually(lambda: app.ctl("status").returncode == 0)
    job = app.eventually_job("web", state="running")["pid"]
    refused = app.ctl("upgrade")
    assert refused.returncode == 1
    assert f"cannot exec {python}: No such file or directory" in refused.stderr
    assert app.job("web")["pid"] == job
    runs = app.job("often")["runs"]
    eventually(lambda: app.job("often")["runs"] > runs + 1)
    eventually(lambda: len(app.json("history", "often", "-n", "100000")) > runs + 1)
    app.supervisor.send_signal(signal.SIGTERM)
    assert app.supervisor.wait(60) == 0


STUBBORN = """
import signal, time
def run():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(1000)
"""


def test_a_supervisor_that_is_stopping_does_not_become_another_version(app: Installed) -> None:
    app.write('[jobs.web]\nrun = "jobs.stubborn:run"\nstop_timeout = "none"\n', stubborn=STUBBORN)
    supervisor = app.run()
    eventually(lambda: "up" in app.output("web"))
    job = app.job("web")["pid"]
    supervisor.send_signal(signal.SIGTERM)
    eventually(lambda: app.job("web")["state"] == "stopping")
    refused = app.ctl("upgrade")
    assert refused.returncode == 1
    assert "it is stopping all jobs; start the new version when it has ended" in refused.stderr
    os.kill(job, signal.SIGKILL)
    assert supervisor.wait(60) == 0


def test_a_stop_a_back_off_and_a_hold_go_on_where_they_were(app: Installed) -> None:
    app.write(
        '[jobs.web]\nrun = "jobs.stubborn:run"\nstop_timeout = "3s"\n'
        '[jobs.resting]\nrun = "jobs.all:fail"\nbackoff = { initial = "4s", jitter = 0 }\nmax_restarts = 3\n'
        '[jobs.held]\nrun = "jobs.all:sleep"\nsettle = "10ms"\n',
        stubborn=STUBBORN,
        all=JOBS,
    )
    app.run()
    eventually(lambda: "up" in app.output("web"))
    app.ctl("stop", "held")
    app.ctl("stop", "web", "--no-wait")
    app.eventually_job("resting", state="backoff")
    app.bump()
    assert app.ctl("upgrade").returncode == 0
    assert app.job("held")["state"] == "stopped"
    stopped = app.eventually_job("web", state="stopped")
    assert stopped["last"]["signal"] == "SIGKILL"
    *_, after, first = eventually(lambda: (rows := app.json("history", "resting")) and len(rows) > 1 and rows)
    assert first["error"]["type"] == "ValueError"
    rested = datetime.fromisoformat(after["started_at"]) - datetime.fromisoformat(first["ended_at"])
    assert timedelta(seconds=3.9) < rested < timedelta(seconds=20)


def test_the_service_manager_is_told_right_after_the_exec_and_goes_on_to_hear_of_us(
    app: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager(tmp_path) as unit:
        monkeypatch.setenv("NOTIFY_SOCKET", unit.address)
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        app.write(ONE, all=JOBS)
        pid = app.run().pid
        unit.eventually("READY=1")
        app.bump()
        before = len(unit.hear())
        assert app.ctl("upgrade").returncode == 0
        told = unit.eventually(f"MAINPID={pid}", after=before)
        unit.eventually("READY=1", after=told)
        pinged = unit.eventually("WATCHDOG=1", after=told)
        unit.eventually("WATCHDOG=1", after=pinged)
        assert not any(message.startswith("STOPPING") for message in unit.hear())


def test_new_code_in_which_a_target_is_lost_leaves_new_runs_to_the_old_fork_server(app: Installed) -> None:
    app.write(
        '[supervisor]\npreload = ["jobs.all"]\n[jobs.often]\nrun = "jobs.all:mark"\nevery = "200ms"\n',
        all=JOBS,
    )
    app.run()
    eventually(lambda: app.job("often")["runs"] > 1)
    (app.folder / "jobs" / "all.py").write_text(JOBS.replace("def mark", "def remark"))
    app.bump()
    assert app.ctl("upgrade").returncode == 0
    eventually(lambda: "new runs are still made by the fork server of the version before: job" in app.log)
    runs = app.job("often")["runs"]
    eventually(lambda: app.job("often")["runs"] > runs + 1)
    assert {row["outcome"] for row in app.json("history", "often") if row["started_at"] and row["ended_at"]} == {"ok"}


def test_the_next_version_holds_what_was_handed_over_alone_and_its_death_ends_every_job(app: Installed) -> None:
    app.write(ONE + '[jobs.later]\nrun = "jobs.all:sleep"\nsettle = "10ms"\n', all=JOBS)
    app.run()
    before = app.eventually_job("web", state="running")["pid"]
    app.bump()
    assert app.ctl("upgrade").returncode == 0
    eventually(lambda: len(children(app.pid)) == HELPERS)
    assert app.ctl("restart", "later").returncode == 0
    helpers = children(app.pid)
    jobs = [before, app.job("later")["pid"]]
    os.kill(app.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, (*jobs, *helpers))))
