"""An upgrade in an awkward moment: a start that is not over, a group between two lives, others of its kind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually, is_alive
from manager import manager
from upgrading import LATE, WAITING, WEB, Installed, installed

from supervisor.control.client import connect
from supervisor.errors import SupervisorGoneError


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    with installed(tmp_path, monkeypatch) as made:
        yield made


def test_before_it_is_ready_and_readiness_is_told_when_it_is_so(
    app: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager(tmp_path) as unit:
        monkeypatch.setenv("NOTIFY_SOCKET", unit.address)
        app.write(LATE + WEB, all=WAITING)
        pid = app.run().pid
        late = app.eventually_job("late", state="starting")["pid"]
        app.upgrade()
        told = unit.eventually(f"MAINPID={pid}")
        unit.eventually(lambda message: message.startswith("STATUS="), after=told)
        assert "READY=1" not in unit.hear()
        app.go()
        unit.eventually("READY=1", after=told)
        assert app.job("late")["pid"] == late
        assert unit.hear().count("READY=1") == 1


def test_while_the_first_fork_server_imports_it_waits_for_that(app: Installed) -> None:
    app.write('[supervisor]\npreload = ["jobs.slow"]\n' + WEB, all=WAITING, slow=WAITING + "\nwaits()\n")
    app.run()
    version = app.bump()
    with connect([str(app.folder / ".jobvisor" / "control.sock")]) as client:
        told = client.stream("upgrade", every=0.2)
        assert next(told) is None
        app.go()
        with pytest.raises(SupervisorGoneError):
            list(told)
    assert app.running_version == version
    app.eventually_job("web", state="running")
    assert "Traceback" not in app.log


def test_after_a_fork_server_has_died(app: Installed) -> None:
    app.write(WEB, all=WAITING)
    app.run()
    before = app.eventually_job("web", state="running")["pid"]
    os.kill(app.part("engine.forkserver"), signal.SIGKILL)
    app.upgrade()
    after = eventually(lambda: (pid := app.job("web")["pid"]) != before and pid)
    eventually(lambda: app.job("web")["state"] == "running")
    assert is_alive(after)
    assert not is_alive(before)


GROUP = """
[groups.all]
strategy = "one_for_all"
[jobs.victim]
run = "jobs.all:sleep"
group = "all"
settle = "10ms"
[jobs.stubborn]
run = "jobs.all:stubborn"
group = "all"
settle = "10ms"
stop_timeout = "none"
"""


def test_in_the_midst_of_a_groups_restart_and_while_it_is_held(app: Installed) -> None:
    app.write(GROUP, all=WAITING)
    app.run()
    eventually(lambda: "up" in app.output("stubborn"))
    victim = app.eventually_job("victim", state="running")["pid"]
    os.kill(victim, signal.SIGKILL)
    stubborn = app.eventually_job("stubborn", state="stopping")["pid"]
    app.upgrade()
    assert app.job("stubborn")["pid"] == stubborn
    assert app.job("victim")["state"] == "blocked"
    os.kill(stubborn, signal.SIGKILL)
    for name, old in (("victim", victim), ("stubborn", stubborn)):
        eventually(lambda name=name, old=old: app.job(name)["pid"] not in {None, old})
        app.eventually_job(name, state="running")
    stopping = app.client("stop", "all")
    os.kill(app.eventually_job("stubborn", state="stopping")["pid"], signal.SIGKILL)
    stopping.communicate(timeout=120)
    assert stopping.returncode == 0
    app.upgrade()
    assert [app.job(name)["state"] for name in ("victim", "stubborn")] == ["stopped", "stopped"]
    assert app.ctl("start", "all").returncode == 0
    assert [app.job(name)["state"] for name in ("victim", "stubborn")] == ["running", "running"]


def test_signals_in_a_row_are_each_an_upgrade_and_nothing_is_interrupted(app: Installed) -> None:
    app.write(WEB, all=WAITING)
    app.run()
    job = app.eventually_job("web", state="running")["pid"]
    for _ in range(3):
        version = app.bump()
        os.kill(app.pid, signal.SIGUSR2)
        os.kill(app.pid, signal.SIGUSR2)
        eventually(lambda version=version: app.running_version == version)
        os.kill(app.pid, signal.SIGUSR2)
    assert app.job("web")["pid"] == job
    app.ctl("shutdown")
    assert app.supervisor is not None
    assert app.supervisor.wait(60) == 0
    assert "Traceback" not in app.log


def test_an_end_that_is_asked_for_while_the_next_version_proves_itself_comes_first(app: Installed) -> None:
    app.write(WEB, all=WAITING)
    supervisor = app.run()
    job = app.eventually_job("web", state="running")["pid"]
    app.bump()
    app.hold_proofs()
    upgrading = app.client("upgrade")
    eventually(lambda: app.is_proving)
    os.kill(app.pid, signal.SIGTERM)
    eventually(lambda: not is_alive(job))
    app.let_prove()
    _, err = upgrading.communicate(timeout=120)
    assert upgrading.returncode == 1
    assert "it is stopping all jobs" in err or "the supervisor ended before it answered" in err
    assert supervisor.wait(120) == 0
