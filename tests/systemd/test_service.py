"""What a service manager hears: from the values of the service, and from the program in its own environment."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import eventually
from manager import Manager, manager
from program import Program, program
from stage import on_loop

from supervisor.core.effects import Change
from supervisor.core.events import Elapsed
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import New, Waiting
from supervisor.systemd.notify import NotifySocket
from supervisor.systemd.service import FIRST_STARTS, STATUS_EVERY, Service, service

BEGIN = Now(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=100))
WATCHDOG = timedelta(seconds=10)


def later(seconds: float) -> Now:
    return Now(BEGIN.wall + timedelta(seconds=seconds), BEGIN.mono + timedelta(seconds=seconds))


def slot(name: str, *, is_waiting: bool) -> Slot:
    state = Waiting(BEGIN) if is_waiting else New()
    return Slot(id=SlotId(name), job=Job(name=name, target=Command(argv=("true",))), state=state)


def service_of(unit: Manager) -> Service:
    return Service(NotifySocket(asyncio.get_running_loop(), unit.address, warn=pytest.fail), WATCHDOG)


@on_loop
async def test_is_ready_when_all_that_starts_at_once_has_started(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        made = service_of(unit)
        slots = [slot("a", is_waiting=False), slot("b", is_waiting=False)]
        made.begun(slots, BEGIN)
        for number, before in enumerate(slots):
            made.advance(slots, later(number))
            assert "READY=1" not in unit.hear()
            slots[number] = slot(before.id.job, is_waiting=True)
            made.notice(Change(before=before, after=slots[number], event=Elapsed(), at=later(number)))
        assert made.deadline is not None
        assert made.deadline <= later(1).mono
        made.advance(slots, later(1))
        assert unit.hear()[-2:] == ["STATUS=2 jobs ok", "READY=1"]
        made.close()


@on_loop
async def test_one_job_that_never_starts_holds_up_ready_for_half_a_minute(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        made = service_of(unit)
        slots = [slot("a", is_waiting=False), slot("b", is_waiting=True)]
        made.begun(slots, BEGIN)
        made.advance(slots, later(FIRST_STARTS.total_seconds() - 0.1))
        assert "READY=1" not in unit.hear()
        made.advance(slots, later(FIRST_STARTS.total_seconds()))
        assert unit.hear()[-1] == "READY=1"
        assert "STATUS=1 of 2 jobs ok, 1 starting" in unit.hear()
        made.close()


@on_loop
async def test_the_watchdog_is_pinged_at_half_its_time_and_only_when_the_clock_has_come(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        made = service_of(unit)
        made.begun([], BEGIN)
        made.advance([], BEGIN)
        assert made.deadline == later(5).mono
        made.advance([], later(4.9))
        assert unit.hear().count("WATCHDOG=1") == 1
        made.advance([], later(5))
        assert unit.hear().count("WATCHDOG=1") == 2
        made.close()


@on_loop
async def test_the_status_is_said_once_a_second_at_most_and_only_when_it_is_another(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        made = service_of(unit)
        waiting, new = slot("a", is_waiting=True), slot("a", is_waiting=False)
        made.begun([waiting], BEGIN)
        made.advance([waiting], BEGIN)
        made.notice(Change(before=waiting, after=new, event=Elapsed(), at=later(0.1)))
        assert made.deadline == BEGIN.mono + STATUS_EVERY
        made.advance([new], later(0.1))
        made.advance([new], later(1))
        made.notice(Change(before=new, after=new, event=Elapsed(), at=later(2)))
        made.advance([new], later(2))
        statuses = [message for message in unit.hear() if message.startswith("STATUS=")]
        assert statuses == ["STATUS=1 job ok", "STATUS=0 of 1 job ok, 1 starting"]
        made.close()


@on_loop
async def test_outside_a_service_manager_nothing_is_said_and_nothing_is_due() -> None:
    made = service(asyncio.get_running_loop(), {}, warn=pytest.fail)
    made.begun([slot("a", is_waiting=True)], BEGIN)
    made.ending(BEGIN)
    assert made.deadline is None
    made.close()


@on_loop
async def test_a_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with manager(tmp_path) as unit:
        environ = {"NOTIFY_SOCKET": unit.address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getppid())}
        other = service(loop, environ, warn=pytest.fail)
        own = service(loop, environ | {"WATCHDOG_PID": str(os.getpid())}, warn=pytest.fail)
        for made in (other, own):
            made.begun([], BEGIN)
            made.advance([], BEGIN)
            made.close()
        assert unit.hear().count("WATCHDOG=1") == 1


# -- the program -------------------------------------------------------------------------------------------------------

SLEEPER = '[jobs.sleeper]\ncommand = ["sleep", "600"]\n'
STUBBORN = "[jobs.stubborn]\ncommand = \"trap '' TERM; touch up; while :; do sleep 1; done\"\nshell = true\n"


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    with manager(tmp_path) as made:
        monkeypatch.setenv("NOTIFY_SOCKET", made.address)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        yield made


@pytest.fixture
def app(tmp_path: Path, unit: Manager) -> Iterator[Program]:  # noqa: ARG001  # sets the environment
    with program(tmp_path) as made:
        yield made


def test_a_service_manager_hears_of_the_whole_life_of_a_supervisor(app: Program, unit: Manager) -> None:
    app.write(SLEEPER)
    app.run()
    at = unit.eventually("READY=1")
    assert app.job("sleeper")["pid"] is not None
    assert "STATUS=1 job ok" in unit.hear()[:at]
    unit.eventually("WATCHDOG=1", after=unit.eventually("WATCHDOG=1", after=at))
    app.write(SLEEPER + '[jobs.broken]\ncommand = ["false"]\n')
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    os.kill(app.pid, signal.SIGHUP)
    at = unit.eventually(lambda message: message.startswith("RELOADING=1\nMONOTONIC_USEC="), after=at)
    assert int(unit.messages[at - 1].rpartition("=")[2]) >= began
    at = unit.eventually("READY=1", after=at)
    unit.eventually(lambda message: message.startswith("STATUS=1 of 2 jobs ok; broken failing: exit 1"), after=at)
    app.ctl("shutdown")
    at = unit.eventually("STOPPING=1", after=at)
    assert unit.messages[at] == "EXTEND_TIMEOUT_USEC=20000000"


def test_a_refused_reload_is_in_the_status_until_a_good_one(app: Program, unit: Manager) -> None:
    app.write(SLEEPER)
    app.run()
    at = unit.eventually("READY=1")
    app.write(SLEEPER + "evry = 1\n")
    assert app.ctl("reload").returncode == 1
    at = unit.eventually("READY=1", after=at)
    at = unit.eventually(lambda message: "STATUS=reload refused (jobs.toml:3: jobs.sleeper.evry:" in message, after=at)
    app.write(SLEEPER)
    app.ctl("reload")
    unit.eventually("STATUS=1 job ok", after=at)


def test_a_long_stop_asks_for_more_time_as_long_as_it_goes_on(app: Program, unit: Manager) -> None:
    app.write('[supervisor]\nstop_timeout = "6s"\n' + STUBBORN)
    app.run()
    unit.eventually("READY=1")
    eventually((app.folder / "up").exists)
    os.kill(app.pid, signal.SIGTERM)
    first = unit.eventually("EXTEND_TIMEOUT_USEC=20000000")
    unit.eventually("EXTEND_TIMEOUT_USEC=20000000", after=first)
    assert app.supervisor is not None
    assert app.supervisor.wait(30) == 0


def test_a_manager_that_does_not_read_holds_up_nothing(app: Program, unit: Manager) -> None:
    unit.fill()
    app.write(SLEEPER)
    app.run()
    app.eventually_job("sleeper", state="running")
    assert app.ctl("restart", "sleeper").returncode == 0
    unit.eventually("READY=1")


def test_a_manager_that_is_not_there_is_warned_of(
    app: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    app.write(SLEEPER)
    app.run()
    app.eventually_job("sleeper", state="running")
    assert "the service manager cannot be told how we are: No such file or directory" in app.log
