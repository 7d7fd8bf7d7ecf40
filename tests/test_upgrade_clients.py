"""Those who wait for an answer while the supervisor becomes another version hear it from that one."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from upgrading import LATE, WAITING, WEB, Installed, installed

from supervisor.control.client import Client, connect

JOBS = (
    WAITING
    + """
def slow():
    print("first", flush=True)
    waits()
    print("last", flush=True)
    sys.exit(7)

class Asked(Worker):
    def __init__(self):
        self.served = 0
    def call(self, request):
        self.served += 1
        Path(f"called-{request}").touch()
        waits()
        return [request, self.served]
"""
)
SLOW = '[jobs.slow]\nrun = "jobs.all:slow"\nevery = "1d"\n'


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    with installed(tmp_path, monkeypatch) as made:
        yield made


def end(client: "subprocess.Popen[str]", code: int = 0) -> str:
    """Return what a client command has printed at last."""
    out, err = client.communicate(timeout=120)
    assert client.returncode == code, out + err
    return out


def states(status: dict[str, Any]) -> dict[str, str]:
    return {job["name"]: job["state"] for job in status["jobs"]}


def late_starts(app: Installed) -> None:
    """Wait until a job that was not there before is being started."""
    eventually(lambda: states(app.json("status")).get("late") == "starting")


def test_of_a_run(app: Installed) -> None:
    app.write(SLOW, all=JOBS)
    app.run()
    app.eventually_job("slow", state="waiting")
    waiting = app.client("trigger", "slow", "--wait")
    eventually(lambda: "first" in app.output("slow"))
    app.upgrade()
    app.go()
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 7, err
    assert [line.rpartition(" ")[2] for line in out.splitlines()] == ["first", "last"]
    assert err == "slow: failed: exit 7\n"


def test_of_a_start_and_of_a_stop(app: Installed) -> None:
    app.write(LATE + '[jobs.web]\nrun = "jobs.all:stubborn"\nstop_timeout = "none"\nsettle = "10ms"\n', all=JOBS)
    app.run()
    eventually(lambda: "up" in app.output("web"))
    before = app.job("late")["pid"]
    restarting, stopping = app.client("restart", "late"), app.client("stop", "web")
    web = app.eventually_job("web", state="stopping")["pid"]
    eventually(lambda: app.job("late")["pid"] not in (None, before))
    app.upgrade()
    app.go()
    assert f"running, pid {app.job('late')['pid']}" in end(restarting)
    os.kill(web, signal.SIGKILL)
    assert "web: stopped" in end(stopping)


def test_of_a_worker_which_is_asked_once(app: Installed) -> None:
    app.write('[jobs.asked]\nrun = "jobs.all:Asked"\nevery = "1d"\n', all=JOBS)
    app.run()
    app.eventually_job("asked", state="waiting")
    first = app.client("call", "asked", "1", "--timeout", "10m")
    eventually((app.folder / "called-1").exists)
    end(app.client("call", "asked", "2", "--timeout", "1s"), 1)
    third = app.client("call", "asked", "3", "--timeout", "10m")
    app.upgrade()
    app.upgrade()
    app.go()
    assert json.loads(end(first)) == [1, 1]
    assert json.loads(end(third)) == [3, 3]
    assert json.loads(app.ctl("call", "asked", "4").stdout) == [4, 4]


def test_of_a_reload_which_is_done_once(app: Installed) -> None:
    app.write(WEB, all=JOBS)
    app.run()
    app.write(WEB + LATE)
    waiting = app.client("reload", "--json")
    late_starts(app)
    app.write(WEB + LATE + SLOW)
    app.upgrade()
    app.go()
    told = json.loads(end(waiting))
    assert [(each["name"], each["change"]) for each in told["changes"] if each["change"] != "unchanged"] == [
        ("late", "added")
    ]
    assert [(each["name"], each["ok"]) for each in told["jobs"]] == [("late", True)]
    assert {job["name"] for job in app.json("status")["jobs"]} == {"web", "late"}


def test_of_a_reload_whose_job_does_not_come_up(app: Installed) -> None:
    app.write(WEB, all=JOBS)
    app.run()
    app.write(WEB + LATE + 'restart = "never"\n')
    waiting = app.client("reload")
    late_starts(app)
    late = eventually(lambda: app.job("late")["pid"])
    app.upgrade()
    os.kill(late, signal.SIGKILL)
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (1, "late: added\n")
    assert "late: " in err


def test_of_the_log_and_of_the_status(app: Installed) -> None:
    app.write('[jobs.tick]\ncommand = "while sleep 0.1; do echo tick; done"\nshell = true\n' + WEB, all=JOBS)
    app.run()
    with app.client("logs", "-f", "tick") as following, app.client("status", "--watch", "--json") as watching:
        try:
            assert following.stdout is not None
            assert watching.stdout is not None
            assert "tick" in following.stdout.readline()
            watching.stdout.readline()
            app.upgrade()
            already = app.output("tick").count("\n")
            for _ in range(already + 3):
                assert "tick" in following.stdout.readline()
            assert app.ctl("stop", "web").returncode == 0
            last = iter(map(json.loads, watching.stdout))
            assert next(status for status in last if states(status)["web"] == "stopped")
        finally:
            following.kill()
            watching.kill()


def test_what_is_asked_while_the_next_version_proves_itself(app: Installed) -> None:
    app.write(WEB + SLOW + '[jobs.asked]\nrun = "jobs.all:Asked"\nevery = "1d"\n', all=JOBS)
    app.run()
    app.eventually_job("asked", state="waiting")
    version = app.bump()
    app.hold_proofs()
    upgrading = app.client("upgrade")
    eventually(lambda: app.is_proving)
    app.write(WEB + SLOW + '[jobs.asked]\nrun = "jobs.all:Asked"\nevery = "1d"\n' + LATE)
    reloading, again = app.client("reload", "--json"), app.client("upgrade")
    triggered = app.client("trigger", "slow", "--wait")
    called = app.client("call", "asked", "1", "--timeout", "10m")
    eventually((app.folder / "called-1").exists)
    eventually(lambda: "first" in app.output("slow"))
    assert app.ctl("restart", "web").returncode == 0
    app.let_prove()
    assert f"to {version} (pid {app.pid})" in end(upgrading)
    end(again)
    late_starts(app)
    app.go()
    assert [job["name"] for job in json.loads(end(reloading))["jobs"]] == ["late"]
    assert json.loads(end(called)) == [1, 1]
    end(triggered, 7)


def test_what_is_asked_on_a_connection_from_before(app: Installed) -> None:
    """It may have been on its way in the moment of the exec, and is asked anew of the one who listens by then."""
    app.write(WEB, all=JOBS)
    app.run()
    with _connected(app) as asking, _connected(app) as following:
        assert asking.ask("ping")["pid"] == following.ask("ping")["pid"] == app.pid
        app.upgrade()
        assert asking.ask("ping", timeout=10)["version"] == app.version
        assert next(following.stream("watch"))["supervisor"]["version"] == app.version


def _connected(app: Installed) -> Client:
    return connect([str(app.folder / ".jobvisor" / "control.sock")])


def test_a_reload_by_a_signal(app: Installed) -> None:
    """One that has begun is not begun again, and is told of; one that waits for its turn is done then."""
    app.write(WEB, all=JOBS)
    app.run()
    app.write(WEB + LATE)
    os.kill(app.pid, signal.SIGHUP)
    late_starts(app)
    app.write(WEB + LATE + SLOW)
    app.upgrade()
    app.go()
    eventually(lambda: "reload: late added" in app.log)
    assert {job["name"] for job in app.json("status")["jobs"]} == {"web", "late"}
    app.hold_proofs()
    version = app.bump()
    os.kill(app.pid, signal.SIGUSR2)
    eventually(lambda: app.is_proving)
    os.kill(app.pid, signal.SIGHUP)
    os.kill(app.pid, signal.SIGUSR2)
    assert app.ctl("status").returncode == 0
    assert {job["name"] for job in app.json("status")["jobs"]} == {"web", "late"}
    app.let_prove()
    eventually(lambda: app.running_version == version)
    eventually(lambda: states(app.json("status")).get("slow") == "waiting")
    eventually(lambda: "reload: slow added" in app.log)
