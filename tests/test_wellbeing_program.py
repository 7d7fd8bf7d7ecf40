"""Readiness, health and heartbeat with real processes and sockets, in the real program."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, program

QUICK = 'backoff = { initial = "50ms", jitter = 0 }\nsettle = "50ms"\n'
NOTIFIER = """
import os, socket, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"STATUS=here\\nREADY=1", address)
while not os.path.exists("hang"):
    told.sendto(b"WATCHDOG=1", address)
    time.sleep(0.05)
time.sleep(1000)
"""
SAYER = """
import os, time
from supervisor import job
def run():
    while not os.path.exists("open"):
        time.sleep(0.02)
    print("ready now", flush=True)
    job.ready()
    while not os.path.exists("hang"):
        job.heartbeat()
        time.sleep(0.05)
    time.sleep(1000)
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        (tmp_path / "notifier.py").write_text(NOTIFIER)
        yield made


def touch(app: Program, name: str) -> None:
    (app.folder / name).touch()


@pytest.mark.parametrize(
    "lines",
    [
        'run = "jobs.sayer:run"\nready = "notify"\n',
        'run = "jobs.sayer:run"\nready = { log = "^ready" }\n',
        f'command = ["{sys.executable}", "notifier.py", "open"]\nready = "notify"\n',
        'command = ["sleep", "1000"]\nready = { command = "test -e open" }\n',
    ],
)
def test_a_job_is_starting_until_it_is_ready_and_those_after_it_wait(app: Program, lines: str) -> None:
    app.write(f'[jobs.db]\n{lines}{QUICK}[jobs.web]\ncommand = ["sleep", "1000"]\nafter = ["db"]\n', sayer=SAYER)
    app.run()
    eventually(lambda: (db := app.job("db"))["state"] == "starting" and db["pid"])
    waits = app.eventually_job("web", state="blocked")
    assert (waits["health"], waits["reason"]) == ("starting", "waits for db")
    touch(app, "open")
    app.eventually_job("db", state="running", health="ok")
    app.eventually_job("web", state="running")


def test_an_endpoint_that_hangs_is_unhealthy_and_holds_up_nobody(app: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait in its backlog for ever
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        look = f'http = "{url}", every = "100ms", timeout = "300ms", failures = 1, action = "report"'
        app.write(
            f'[jobs.silent]\ncommand = ["sleep", "1000"]\nhealth = {{ {look} }}\n'
            f'[jobs.other]\ncommand = ["sleep", "1001"]\n{QUICK}'
        )
        app.run()
        silent_job = app.eventually_job("silent", state="running", health="unhealthy")
        assert silent_job["reason"] == f"{url}: no answer within 300ms"
        old = app.job("other")["pid"]
        os.kill(old, signal.SIGKILL)
        eventually(lambda: app.job("other")["pid"] not in {None, old})


def test_readiness_over_http_and_tcp(app: Program) -> None:
    with socket.socket() as reserved:  # bound and not listening: nobody else is given the port, and the job may have it
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        server = f'command = ["{sys.executable}", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]\n'
        app.write(
            f'[jobs.web]\n{server}ready = {{ http = "http://127.0.0.1:{port}/" }}\n{QUICK}'
            f'[jobs.client]\ncommand = ["sleep", "1000"]\nready = {{ tcp = "localhost:{port}" }}\nafter = ["web"]\n'
        )
        app.run()
        app.eventually_job("client", state="running", health="ok")


def test_bad_health_is_reported_or_acted_upon(app: Program) -> None:
    looks = 'health = {{ command = "test ! -e sick", every = "100ms", failures = 2, action = "{}" }}\n'
    app.write(
        f'[jobs.told]\ncommand = ["sleep", "1000"]\n{looks.format("report")}'
        f'[jobs.acted]\ncommand = ["sleep", "1001"]\n{looks.format("restart")}{QUICK}'
    )
    app.run()
    old = app.eventually_job("acted", state="running", health="ok")["pid"]
    touch(app, "sick")
    told = app.eventually_job("told", health="unhealthy")
    assert (told["state"], told["reason"]) == ("running", "test: exit 1")
    assert app.ctl("status", "told").returncode == 3
    eventually(lambda: app.job("acted")["pid"] not in {None, old})
    last = app.job("acted")["last"]
    assert (last["outcome"], last["error"]) == ("failed", "unhealthy: test: exit 1")
    (app.folder / "sick").unlink()
    app.eventually_job("told", health="ok")


@pytest.mark.parametrize(
    "what", ['run = "jobs.sayer:run"\n', f'command = ["{sys.executable}", "notifier.py", "open"]\n']
)
def test_a_job_that_calls_in_no_more_is_hung_and_restarted(app: Program, what: str) -> None:
    app.write(f'[jobs.web]\n{what}heartbeat = "500ms"\nready = "notify"\n{QUICK}', sayer=SAYER)
    touch(app, "open")
    app.run()
    old = app.eventually_job("web", state="running", health="ok")["pid"]
    touch(app, "hang")
    eventually(lambda: app.job("web")["pid"] not in {None, old})
    assert app.json("history", "web")[-1]["reason"] == "hung: no heartbeat for 500ms"


def test_an_idle_worker_calls_in_by_itself_and_a_tick_that_hangs_does_not(app: Program) -> None:
    worker = (
        "import os, time\nfrom supervisor import Worker\nclass W(Worker):\n    def tick(self):\n        print('tick')\n"
    )
    worker += "        if os.path.exists('hang'):\n            time.sleep(1000)\n"
    app.write(f'[jobs.w]\nrun = "jobs.w:W"\nevery = "1500ms"\nheartbeat = "500ms"\n{QUICK}', w=worker)
    app.run()
    eventually(lambda: app.output("w").count("tick") >= 2)
    assert app.job("w")["restarts"] == 0
    touch(app, "hang")
    eventually(lambda: app.job("w")["restarts"] >= 1)


def test_start_says_that_a_job_did_not_get_ready(app: Program) -> None:
    app.write('[jobs.web]\ncommand = ["sleep", "1000"]\nready = "notify"\nstart_timeout = "200ms"\n')
    app.run()
    app.ctl("stop", "web")
    done = app.ctl("start", "web")
    assert done.returncode == 1
    assert "did not come up: start_timeout: not ready within 200ms" in done.stderr


def test_a_job_that_is_killed_while_it_starts_is_started_again_and_who_waits_is_told(app: Program) -> None:
    app.write(
        '[jobs.web]\ncommand = ["sleep", "1000"]\nready = "notify"\nbackoff = { initial = "50ms", jitter = 0 }\n'
        '[jobs.other]\ncommand = ["sleep", "1000"]\n'
    )
    app.run()
    other = app.eventually_job("other", state="running")["pid"]

    def starting(*, without: int | None) -> int:
        def found() -> int:
            web = app.job("web")
            return web["pid"] if web["state"] == "starting" and web["pid"] not in {None, without} else 0

        return eventually(found)

    first = starting(without=None)
    with subprocess.Popen([*JOBVISOR, "restart", "web"], cwd=app.folder, stderr=subprocess.PIPE, text=True) as asked:
        killed = starting(without=first)
        os.kill(killed, signal.SIGKILL)
        told = asked.communicate(timeout=60)[1]
    assert (asked.returncode, told) == (1, "web: did not come up: SIGKILL\n")
    assert starting(without=killed)
    assert app.job("other")["pid"] == other


def test_a_supervisor_ends_while_looks_are_under_way(app: Program) -> None:
    app.write(
        '[jobs.a]\ncommand = ["sleep", "1000"]\nready = { command = "sleep 60" }\n'
        '[jobs.b]\ncommand = ["sleep", "1000"]\nready = { tcp = "127.0.0.1:9" }\n'
    )
    supervisor = app.run()
    app.eventually_job("a", state="starting")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0


def test_strangers_cannot_speak_for_a_job(app: Program) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    code = (
        "import os, socket, sys; os.setuid(65534); "
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET']"
        ".replace('@', chr(0), 1))"
    )
    app.write(
        f"[jobs.web]\ncommand = ['sh', '-c', '{sys.executable} -c \"$CODE\"; echo sent; sleep 1000']\n"
        f'ready = "notify"\nenv = {{ CODE = "{code}" }}\n'
    )
    app.run()
    eventually(lambda: "sent" in app.output("web"))
    assert app.job("web")["state"] == "starting"
