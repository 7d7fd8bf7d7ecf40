"""Talking to a running job as an operator does: call, cast, state, stack, signal, and what the job says by itself."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import descendants, eventually, is_alive
from program import JOBVISOR, Program, program

COUNTER = """
import os, time
from supervisor import Worker
class Counter(Worker):
    def __init__(self):
        self.count = 0
    def start(self):
        print("started")
    def tick(self):
        self.count += 1
        print(f"tick {self.count}")
    def call(self, request):
        if request == "fail":
            raise ValueError("no such request")
        if request == "set":
            return {1}
        while request == "hang" and not os.path.exists("go"):
            time.sleep(0.01)
        return {"asked": request, "count": self.count}
    def cast(self, message):
        print(f"cast {message}")
"""
MANIFEST = """
[jobs.counter]
run = "jobs.counter:Counter"
every = "1h"
run_at_start = true
backoff = { initial = "50ms", jitter = 0 }
[jobs.keeper]
run = "jobs.counter:Counter"
[jobs.web]
run = "jobs.sleeper:run"
instances = 2
[jobs.program]
command = ["sleep", "1000"]
"""
SLEEPER = "import time\ndef run():\n    print('up')\n    nap()\ndef nap():\n    time.sleep(1000)\n"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


@pytest.fixture
def talking(app: Program) -> Program:
    app.write(MANIFEST, counter=COUNTER, sleeper=SLEEPER)
    app.run()
    app.eventually_job("counter", state="waiting", runs=1)
    app.eventually_job("keeper", state="running")
    return app


def refused(app: Program, *arguments: str, code: int = 1) -> str:
    """Return what a refused command says on stderr alone, in one line."""
    done = app.ctl(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr.strip()


# -- call, cast, state -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("counter", 1), ("keeper", 0)])
def test_call_prints_what_a_worker_answers(talking: Program, name: str, count: int) -> None:
    done = talking.ctl("call", name, '{"op": "stats"}')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"asked": {"op": "stats"}, "count": count}
    assert talking.json("call", name) == {"asked": None, "count": count}


def test_cast_is_taken_and_served_in_order(talking: Program) -> None:
    for number in range(3):
        done = talking.ctl("cast", "counter", str(number))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert talking.json("cast", "counter", '"last"') == {"name": "counter"}
    eventually(lambda: "cast last\n" in talking.output("counter"))
    casts = [line.partition(" ")[2] for line in talking.output("counter").splitlines() if "cast" in line]
    assert casts == ["cast 0", "cast 1", "cast 2", "cast last"]


def test_state_shows_a_workers_attributes(talking: Program) -> None:
    assert talking.json("state", "counter") == {"count": 1}
    assert json.loads(talking.ctl("state", "keeper").stdout) == {"count": 0}


def test_an_exception_in_a_call_is_told_and_the_restart_policy_decides(talking: Program) -> None:
    path = talking.folder / "jobs" / "counter.py"
    old = talking.job("counter")["pid"]
    assert refused(talking, "call", "counter", '"fail"') == f"counter: ValueError at {path}:14: no such request"
    eventually(lambda: (job := talking.job("counter"))["state"] == "waiting" and job["pid"] not in {None, old})
    assert talking.json("call", "counter") == {"asked": None, "count": 0}


def test_a_hung_worker_is_an_error_in_time_and_supervision_goes_on(talking: Program) -> None:
    with subprocess.Popen(
        [*JOBVISOR, "call", "counter", '"hang"'], cwd=talking.folder, stdout=subprocess.PIPE, text=True
    ) as first:
        eventually(lambda: " in call" in talking.ctl("stack", "counter").stdout)
        said = refused(talking, "call", "counter", "1", "--timeout", "200ms")
        assert said == "counter: no answer within 0.2 s: it is busy; `jobvisor stack counter` shows with what"
        assert refused(talking, "state", "counter", "--timeout", "200ms").startswith("counter: no answer within 0.2 s")
        assert talking.ctl("status").returncode == 0
        (talking.folder / "go").touch()
        assert first.communicate(timeout=60)[0] == '{\n  "asked": "hang",\n  "count": 1\n}\n'


def test_what_cannot_be_asked_says_why(talking: Program) -> None:
    assert refused(talking, "call", "nobody", code=4) == 'no job "nobody"; `jobvisor status` lists them'
    assert refused(talking, "call", "program") == (
        "program is no Worker, and only Workers are spoken to: it runs a command"
    )
    assert refused(talking, "state", "web:1") == (
        "web:1 is no Worker, and only Workers are spoken to: it runs a function"
    )
    assert refused(talking, "cast", "web", code=2) == "2 are meant (web:1, web:2); name one of them"
    assert refused(talking, "call", "*", code=2) == "5 are meant (counter, keeper, web:1, …); name one of them"
    assert refused(talking, "call", "counter", '"set"') == (
        "counter: its answer is no JSON: Object of type set is not JSON serializable"
    )
    assert refused(talking, "call", "counter", "{op: 1}", code=2).startswith("not JSON: {op: 1}: ")
    talking.ctl("stop", "counter")
    assert refused(talking, "call", "counter") == "counter is stopped: it has no process"
    assert "--timeout" in talking.ctl("call", "counter", "--timeout", "soon").stderr


SLOW = """
import os, time
from supervisor import Worker
def until(path):
    while not os.path.exists(path):
        time.sleep(0.01)
{}
class Slow(Worker):
    def start(self):
        {}
    def tick(self):
        pass
"""


@pytest.mark.parametrize(
    ("imports", "starts", "why"),
    [
        ('until("go")', "pass", "its target is still being imported"),
        ("", 'until("go")', "no answer within 0.2 s: it is still in start()"),
    ],
)
def test_a_worker_that_is_not_there_yet_is_an_error_in_time(app: Program, imports: str, starts: str, why: str) -> None:
    app.write('[jobs.slow]\nrun = "jobs.slow:Slow"\nevery = "1h"\n', slow=SLOW.format(imports, starts))
    app.run()
    for verb in ("call", "state"):
        eventually(lambda verb=verb: app.ctl(verb, "slow", "--timeout", "200ms").stderr == f"slow: {why}\n")
    (app.folder / "go").touch()
    eventually(lambda: app.ctl("state", "slow").stdout == "{}\n")


def test_a_flood_of_casts_never_grows_the_supervisor(app: Program) -> None:
    hung = (
        "import time\nfrom supervisor import Worker\nclass Hung(Worker):\n"
        "    def start(self):\n        time.sleep(1000)\n"
    )
    app.write('[jobs.hung]\nrun = "jobs.hung:Hung"\n', hung=hung)
    app.run()
    app.eventually_job("hung", state="running")
    before = _resident(app.pid)
    answers = _flood(app.folder / ".jobvisor" / "control.sock", 500, "x" * 200_000)
    assert sum("error" in answer for answer in answers) > 450
    assert "hung: its mailbox is full" in answers[-1]["error"]["message"]
    assert _resident(app.pid) - before < 50_000_000
    assert app.job("hung")["state"] == "running"


def _flood(path: Path, count: int, content: str) -> list[dict[str, Any]]:
    request = (
        json.dumps({"id": 1, "method": "cast", "params": {"names": ["hung"], "content": content}}).encode() + b"\n"
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        answers = client.makefile("rb")
        found = []
        for _ in range(count):
            client.sendall(request)
            found.append(json.loads(answers.readline()))
    return found


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- signal and stack --------------------------------------------------------------------------------------------------


def test_signal_reaches_the_jobs_own_process(app: Program) -> None:
    handler = (
        "import os, signal, subprocess\n"
        "def run():\n"
        "    signal.signal(signal.SIGHUP, lambda *_: os.write(1, b'reread\\n'))\n"
        "    child = subprocess.Popen(['sleep', '1000'])\n"
        "    print('up', flush=True)\n"
        "    while True:\n"
        "        signal.pause()\n"
    )
    app.write('[jobs.web]\nrun = "jobs.handler:run"\n', handler=handler)
    app.run()
    eventually(lambda: "up" in app.output("web"))
    pid = app.job("web")["pid"]
    for written in ("HUP", "sighup", "1"):
        assert app.ctl("signal", "web", written).stdout == f"web: SIGHUP sent to pid {pid}\n"
    assert app.json("signal", "w*", "HUP") == [
        {"name": "web", "ok": True, "message": f"SIGHUP sent to pid {pid}", "pid": pid}
    ]
    eventually(lambda: "reread" in app.output("web"))
    assert len(descendants(pid)) == 1
    app.ctl("signal", "web", "KILL")
    eventually(lambda: (job := app.job("web"))["last"] and job["last"]["signal"] == "SIGKILL")


def test_a_signal_that_cannot_be_sent_says_why(talking: Program) -> None:
    assert refused(talking, "signal", "program", "NOPE", code=2).startswith('"NOPE" is not a signal: expected')
    assert refused(talking, "signal", "program", "0", code=2).startswith('"0" is not a signal')
    assert refused(talking, "signal", "nobody", "HUP", code=4).startswith('no job "nobody"')
    talking.ctl("stop", "program")
    assert refused(talking, "signal", "program", "HUP") == "program: is stopped, it has no process"


def test_stack_prints_the_jobs_own_frames_and_the_job_goes_on(talking: Program) -> None:
    pid = talking.eventually_job("web", state="running")["pid"]
    eventually(lambda: "up" in talking.output("web:1"))
    done = talking.ctl("stack", "web:1")
    assert (done.returncode, done.stderr) == (0, "")
    path = talking.folder / "jobs" / "sleeper.py"
    assert done.stdout.splitlines()[1:] == [f'  File "{path}", line 6 in nap', f'  File "{path}", line 4 in run']
    answer = talking.json("stack", "web:1")
    assert (answer["name"], answer["pid"]) == ("web:1", pid)
    assert " in nap" in answer["stack"]
    assert talking.job("web")["pid"] == pid


def test_stack_and_signal_reach_every_run_of_a_job_whose_runs_overlap(app: Program) -> None:
    job = '[jobs.slow]\nrun = "jobs.sleeper:run"\nevery = "1h"\noverlap = "allow"\nmax_parallel = 3\n'
    app.write(job, sleeper=SLEEPER)
    app.run()
    for _ in range(2):
        assert app.ctl("trigger", "slow").returncode == 0
    eventually(lambda: app.output("slow").count("up") == 2)
    own = app.job("slow")["pid"]
    stacks = app.json("stack", "slow")
    assert stacks["pid"] == own
    heads = [line for line in stacks["stack"].splitlines() if line.startswith("run ")]
    assert len(heads) == stacks["stack"].count(" in nap") == 2
    assert heads[0] == f"run {heads[0].split()[1].rstrip(',')}, pid {own}:"
    sent = app.json("signal", "slow", "KILL")
    assert len({each["pid"] for each in sent}) == 2
    eventually(lambda: app.job("slow")["failures"] == 2)


def test_what_has_no_stack_says_why(talking: Program) -> None:
    assert refused(talking, "stack", "program") == (
        "program runs a command: only a Python function or Worker (`run`) can show its stack"
    )
    assert is_alive(talking.job("program")["pid"])
    assert refused(talking, "stack", "web", code=2) == "2 are meant (web:1, web:2); name one of them"
    assert refused(talking, "stack", "nobody", code=4).startswith('no job "nobody"')
    pid = talking.job("web")["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert refused(talking, "stack", "web:1") == "web:1: no stack: signal blocked"
    os.kill(pid, signal.SIGCONT)
    talking.ctl("stop", "web:1")
    assert refused(talking, "stack", "web:1") == "web:1 is stopped: it has no process"


def _stack_of(app: Program, run_id: int) -> str | None:
    with sqlite3.connect(app.folder / ".jobvisor" / "history.db") as db:
        [(stack,)] = db.execute("SELECT stack FROM runs WHERE run_id = ?", (run_id,))
    return None if stack is None else str(stack)


def test_the_stack_of_a_run_that_is_out_of_time_is_in_its_log_and_its_record(app: Program) -> None:
    app.write(
        '[jobs.slow]\nrun = "jobs.sleeper:run"\nevery = "1h"\nrun_at_start = true\ntimeout = "2s"\n',
        sleeper=SLEEPER,
    )
    app.run()
    last = eventually(lambda: app.job("slow")["last"])
    assert last["outcome"] == "timeout"
    assert " in nap" in eventually(lambda: _stack_of(app, last["run_id"]))
    lines = [line.partition(" ")[2] for line in app.output("slow").splitlines()]
    assert lines[:2] == ["up", f"jobvisor: run {last['run_id']} takes too long; its stacks before it is stopped:"]
    assert any(" in nap" in line for line in lines)
    assert " in nap" in app.json("show", "slow")["error"]["stack"]
    assert " in nap" in app.ctl("show", "slow").stdout


def test_a_tick_that_is_out_of_time_has_its_stack_and_last_lines_in_its_own_record(app: Program) -> None:
    hangs = (
        "import time\nfrom supervisor import Worker\nclass Hangs(Worker):\n    def tick(self):\n"
        "        print('ticking')\n        time.sleep(1000)\n"
    )
    app.write(
        '[jobs.slow]\nrun = "jobs.hangs:Hangs"\nevery = "1h"\nrun_at_start = true\ntimeout = "2s"\n'
        'backoff = { initial = "1m" }\n',
        hangs=hangs,
    )
    app.run()
    app.eventually_job("slow", state="backoff")
    [tick] = [row["run_id"] for row in app.json("history", "slow") if row["due_at"]]
    assert " in tick" in eventually(lambda: _stack_of(app, tick))

    def output() -> str | None:
        with sqlite3.connect(app.folder / ".jobvisor" / "history.db") as db:
            [(text,)] = db.execute("SELECT output FROM runs WHERE run_id = ?", (tick,))
        return None if text is None else str(text)

    assert eventually(output).startswith("ticking")


def test_the_stack_of_a_job_that_overruns_its_stop_is_in_its_log(app: Program) -> None:
    stubborn = (
        "import signal, time\ndef run():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    print('up')\n    nap()\ndef nap():\n    time.sleep(1000)\n"
    )
    app.write('[jobs.web]\nrun = "jobs.stubborn:run"\nstop_timeout = "300ms"\n', stubborn=stubborn)
    app.run()
    eventually(lambda: "up" in app.output("web"))
    assert app.ctl("stop", "web").stdout == "web: stopped\n"
    assert " in nap" in app.output("web")
    assert " in nap" in eventually(lambda: _stack_of(app, app.job("web")["last"]["run_id"]))


# -- progress and checkpoints ------------------------------------------------------------------------------------------


def test_progress_is_a_bar_in_status_and_figures_in_json(app: Program) -> None:
    loads = (
        "import time\nfrom supervisor import job\ndef run():\n"
        "    for done in range(300_001):\n        job.progress(done, 600_000, 'loading')\n"
        "    time.sleep(1000)\n"
    )
    app.write('[jobs.load]\nrun = "jobs.loads:run"\n[jobs.quiet]\ncommand = ["sleep", "1000"]\n', loads=loads)
    app.run()
    progress = eventually(lambda: (said := app.job("load")["progress"]) and said["done"] == 300_000 and said)
    assert (progress["total"], progress["note"]) == (600_000, "loading")
    assert progress["per_second"] > 0
    assert progress["left_s"] == pytest.approx(300_000 / progress["per_second"], rel=0.01)
    assert app.job("quiet")["progress"] is None
    line = next(line for line in app.ctl("status").stdout.splitlines() if line.startswith("load "))
    assert "ok [#####.....] 50% of 600,000, " in line
    assert "/s, " in line
    assert line.endswith(" left: loading")


def test_progress_of_a_tick_is_over_with_the_tick(app: Program) -> None:
    worker = (
        "import os, time\nfrom supervisor import Worker, job\nclass Steps(Worker):\n    def tick(self):\n"
        "        job.progress(1, 2)\n        while not os.path.exists('go'):\n            time.sleep(0.01)\n"
    )
    app.write('[jobs.steps]\nrun = "jobs.steps:Steps"\nevery = "1h"\nrun_at_start = true\n', steps=worker)
    app.run()
    eventually(lambda: (said := app.job("steps")["progress"]) and said["done"] == 1)
    (app.folder / "go").touch()
    assert app.eventually_job("steps", state="waiting")["progress"] is None


CHECKPOINTS = """
import os, signal
from supervisor import job
def run():
    last = job.last_checkpoint or {"page": 0}
    print("from", last["page"], job.attempt, flush=True)
    for page in range(last["page"] + 1, last["page"] + 4):
        job.checkpoint({"page": page})
    if os.path.exists("hold"):
        print("held", flush=True)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_checkpoint_is_handed_to_the_next_run_after_a_crash(app: Program) -> None:
    app.write('[jobs.pages]\nrun = "jobs.pages:run"\nbackoff = "none"\nmax_restarts = 2\n', pages=CHECKPOINTS)
    app.run()
    app.eventually_job("pages", state="failed")
    said = [line.partition(" ")[2] for line in app.output("pages").splitlines()]
    assert said == ["from 0 1", "from 3 1", "from 6 1"]


def test_a_checkpoint_is_handed_to_the_next_attempt(app: Program) -> None:
    app.write(
        '[jobs.pages]\nrun = "jobs.pages:run"\nevery = "1h"\nrun_at_start = true\nretries = 1\n'
        'backoff = { initial = "10ms" }\n',
        pages=CHECKPOINTS,
    )
    app.run()
    eventually(lambda: "from 3 2" in app.output("pages"))


def test_a_checkpoint_survives_the_kill_of_supervisor_and_job(app: Program) -> None:
    (app.folder / "hold").touch()
    app.write('[jobs.pages]\nrun = "jobs.pages:run"\n', pages=CHECKPOINTS)
    app.run()
    eventually(lambda: "held" in app.output("pages"))
    family = descendants(app.pid)
    job = app.job("pages")["pid"]
    os.kill(app.pid, signal.SIGKILL)
    os.kill(job, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, family)))
    app.run()
    eventually(lambda: "from 3 1" in app.output("pages"))


def test_a_python_program_that_a_command_starts_can_say_and_keep_things_too(app: Program) -> None:
    (app.folder / "pages.py").write_text(
        "import time\n"
        "from supervisor import job\n"
        "print('last', job.last_checkpoint, flush=True)\n"
        "job.checkpoint([1, 2])\n"
        "job.progress(1, 4)\n"
        "time.sleep(1000 if job.last_checkpoint == [1, 2] else 0)\n"
    )
    app.write('[jobs.pages]\ncommand = ["python", "pages.py"]\n')
    app.run()
    eventually(lambda: (said := app.job("pages")["progress"]) and said["total"] == 4)
    assert "last None" in app.output("pages")
    app.ctl("restart", "pages")
    eventually(lambda: "last [1, 2]" in app.output("pages"))


def test_outside_jobvisor_a_job_runs_as_plain_python(app: Program) -> None:
    app.write("", pages=CHECKPOINTS.replace("os.kill(os.getpid(), signal.SIGKILL)", "job.heartbeat()"))
    done = subprocess.run(
        [JOBVISOR[0], "-c", "from jobs.pages import run; run()"],
        cwd=app.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("from 0 1\n", "")


def test_the_stack_of_a_job_that_hangs_is_in_its_log_and_its_record(app: Program) -> None:
    hangs = (
        "import time\nfrom supervisor import job\ndef run():\n    job.heartbeat()\n    print('beaten')\n    nap()\n"
        "def nap():\n    time.sleep(1000)\n"
    )
    app.write('[jobs.web]\nrun = "jobs.hangs:run"\nheartbeat = "1s"\nbackoff = { initial = "1m" }\n', hangs=hangs)
    app.run()
    job = app.eventually_job("web", state="backoff")
    assert "no heartbeat" in job["reason"]
    assert " in nap" in app.output("web")
    assert " in nap" in eventually(lambda: _stack_of(app, job["last"]["run_id"]))


def test_a_job_that_beats_lives_on(app: Program) -> None:
    beats = (
        "import time\nfrom supervisor import job\ndef run():\n    began = time.monotonic()\n"
        "    while not job.wait(0.001):\n        job.heartbeat()\n        if time.monotonic() - began > 2.5:\n"
        "            print('alive')\n            began += 1000\n"
    )
    app.write('[jobs.web]\nrun = "jobs.beats:run"\nheartbeat = "1s"\n', beats=beats)
    app.run()
    eventually(lambda: "alive" in app.output("web"))
    assert app.job("web")["restarts"] == 0
