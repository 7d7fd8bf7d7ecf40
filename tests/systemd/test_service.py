"""What a service manager hears: from the values of the service, and from the program in its own environment."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import eventually
from manager import Manager, manager
from program import Program, program
from stage import on_loop

from supervisor.core.checks import Told
from supervisor.core.effects import Change
from supervisor.core.events import Elapsed
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job, Supervision
from supervisor.core.runs import Attempt, RunId, SlotId, Trigger
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Barred, Failed, New, Process, Starting, State, Waiting
from supervisor.errors import ManifestError
from supervisor.systemd.notify import NotifySocket
from supervisor.systemd.service import EXTEND_EVERY, STATUS_EVERY, UNBOUNDED_STARTS, HandedService, Service, service

BEGIN = Now(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=100))
WATCHDOG = timedelta(seconds=10)


def later(seconds: float) -> Now:
    return Now(BEGIN.wall + timedelta(seconds=seconds), BEGIN.mono + timedelta(seconds=seconds))


def unhindered(_: Slot) -> None:
    """Nothing holds a slot back."""


def slot(name: str, state: State) -> Slot:
    return Slot(id=SlotId(name), job=Job(name=name, target=Command(argv=("true",))), state=state)


def waiting(name: str) -> Slot:
    return slot(name, Waiting(BEGIN))


def starting(name: str, *, until: timedelta | None) -> Slot:
    """A slot that waits for `ready`, for so long."""
    job = Job(
        name=name, target=Command(argv=("true",)), supervision=Supervision(ready=Told.NOTIFY, start_timeout=until)
    )
    run = Attempt(run_id=RunId(1), slot=SlotId(name), trigger=Trigger.START)
    process = Process(run=run, job=job, began=BEGIN)
    return Slot(id=SlotId(name), job=job, state=Starting(BEGIN, process, until=until and BEGIN.mono + until))


def barred(name: str) -> Slot:
    return slot(name, Barred(since=BEGIN, trigger=Trigger.START))


class Stage:
    """A service with slots on it."""

    def __init__(
        self,
        unit: Manager,
        *slots: Slot,
        hindrance: Callable[[Slot], str | None] = unhindered,
        begins: bool = True,
    ) -> None:
        self.unit = unit
        self.slots = {each.id: each for each in slots}
        socket = NotifySocket(asyncio.get_running_loop(), unit.address, warn=pytest.fail)
        self.service = Service(socket, WATCHDOG, hindrance)
        if begins:
            self.service.starting(BEGIN)
            self.service.begun(self.slots.values(), BEGIN)

    def turn(self, slot: Slot, at: Now) -> None:
        """Change a slot."""
        before, self.slots[slot.id] = self.slots[slot.id], slot
        self.service.notice(Change(before=before, after=slot, event=Elapsed(), at=at))

    def pass_until(self, at: Now) -> None:
        """Let time pass as the loop does: from deadline to deadline."""
        while (due := self.service.deadline) is not None and due <= at.mono:
            moment = max(due, BEGIN.mono) - BEGIN.mono
            self.service.advance(self.slots.values(), later(moment.total_seconds()))
            self.unit.hear()

    @property
    def is_ready(self) -> bool:
        return "READY=1" in self.unit.hear()


@on_loop
async def test_is_ready_when_all_that_starts_at_once_has_started(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, slot("a", New()), slot("b", New()))
        for number, name in enumerate("ab"):
            stage.pass_until(later(number))
            assert not stage.is_ready
            stage.turn(waiting(name), later(number))
        stage.pass_until(later(1))
        assert unit.hear()[-2:] == ["STATUS=2 jobs ok", "READY=1"]
        stage.service.close()


@on_loop
async def test_starts_have_the_time_that_they_are_given_and_the_manager_is_asked_for_it(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, starting("a", until=timedelta(minutes=10)), barred("b"))
        stage.pass_until(later(590))
        assert not stage.is_ready
        asked = [each for each in unit.hear() if each.startswith("EXTEND_TIMEOUT_USEC=")]
        assert len(asked) == timedelta(seconds=590) // EXTEND_EVERY + 1
        assert "STATUS=0 of 2 jobs ok, 2 starting" in unit.hear()
        stage.turn(waiting("a"), later(590))
        stage.turn(starting("b", until=timedelta(minutes=20)), later(590))
        stage.pass_until(later(900))
        assert not stage.is_ready
        stage.turn(waiting("b"), later(901))
        stage.pass_until(later(901))
        assert stage.is_ready
        unit.messages.clear()
        stage.pass_until(later(990))
        assert set(unit.hear()) == {"WATCHDOG=1"}
        stage.service.close()


@on_loop
async def test_what_nothing_bounds_holds_up_ready_for_half_a_minute(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, starting("a", until=None), barred("behind"), waiting("c"))
        stage.pass_until(later(UNBOUNDED_STARTS.total_seconds() - 0.1))
        assert not stage.is_ready
        stage.pass_until(later(UNBOUNDED_STARTS.total_seconds()))
        assert stage.is_ready
        assert "STATUS=1 of 3 jobs ok, 2 starting" in unit.hear()
        stage.service.close()


@on_loop
async def test_what_waits_for_a_failed_one_holds_up_nothing(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, starting("a", until=timedelta(minutes=1)), barred("b"), hindrance=lambda _: "a failed")
        stage.pass_until(later(1))
        assert not stage.is_ready
        stage.turn(slot("a", Failed(BEGIN, "exit 1")), later(2))
        stage.pass_until(later(2))
        assert stage.is_ready
        stage.service.close()


@on_loop
async def test_a_restart_is_no_first_start(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, starting("a", until=timedelta(minutes=1)), starting("b", until=timedelta(minutes=1)))
        stage.turn(slot("a", Backoff(since=BEGIN, until=later(3).mono, last="exit 1")), later(2))
        stage.turn(starting("a", until=timedelta(minutes=1)), later(3))
        stage.pass_until(later(4))
        assert not stage.is_ready
        stage.turn(waiting("b"), later(5))
        stage.pass_until(later(5))
        assert stage.is_ready
        stage.service.close()


@on_loop
async def test_a_reload_while_it_starts_does_not_end_the_start(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, starting("a", until=timedelta(minutes=1)))
        stage.pass_until(later(1))
        with stage.service.reloading():
            pass
        assert not {each.partition("=")[0] for each in unit.hear()} & {"READY", "RELOADING"}
        stage.service.ending(later(2))
        with stage.service.reloading():
            pass
        assert not {each.partition("=")[0] for each in unit.hear()} & {"READY", "RELOADING"}
        stage.service.close()


@on_loop
async def test_another_version_says_that_the_main_process_is_the_same_and_goes_on(tmp_path: Path) -> None:
    """Where the start was over, what happens to start at the moment of the exec does not make it begin again."""
    with manager(tmp_path) as unit:
        for is_up in (False, True):
            before = Stage(unit, starting("a", until=timedelta(minutes=9)))
            if is_up:
                before.turn(waiting("a"), later(1))
            before.pass_until(later(1))
            with suppress(ManifestError), before.service.reloading():
                raise ManifestError(("jobs.toml:3: no",))
            handed = before.service.hand_over()
            assert handed == HandedService(is_up=is_up, refused="reload refused (jobs.toml:3: no); ")
            unit.messages.clear()
            after = Stage(unit, starting("a", until=timedelta(minutes=9)), begins=False)
            after.service.starting(later(2))
            after.service.go_on(handed, after.slots.values(), later(2))
            after.pass_until(later(3))
            assert f"MAINPID={os.getpid()}" in unit.messages
            assert "STATUS=reload refused (jobs.toml:3: no); 0 of 1 job ok, 1 starting" in unit.messages
            assert after.is_ready is is_up
            for stage in (before, after):
                stage.service.close()


@on_loop
async def test_the_watchdog_is_pinged_at_half_its_time_and_only_when_the_clock_has_come(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit)
        stage.pass_until(later(4.9))
        assert unit.hear().count("WATCHDOG=1") == 1
        stage.pass_until(later(5))
        assert unit.hear().count("WATCHDOG=1") == 2
        stage.service.close()


@on_loop
async def test_the_status_is_said_once_a_second_at_most_and_only_when_it_is_another(tmp_path: Path) -> None:
    with manager(tmp_path) as unit:
        stage = Stage(unit, waiting("a"))
        stage.pass_until(BEGIN)
        stage.turn(slot("a", New()), later(0.1))
        assert stage.service.deadline == BEGIN.mono + STATUS_EVERY
        stage.pass_until(later(1))
        stage.turn(slot("a", New()), later(2))
        stage.pass_until(later(2))
        statuses = [message for message in unit.hear() if message.startswith("STATUS=")]
        assert statuses == ["STATUS=1 job ok", "STATUS=0 of 1 job ok, 1 starting"]
        stage.service.close()


@on_loop
async def test_outside_a_service_manager_nothing_is_said_and_nothing_is_due() -> None:
    made = service(asyncio.get_running_loop(), {}, warn=pytest.fail, hindrance=unhindered)
    made.starting(BEGIN)
    made.begun([waiting("a")], BEGIN)
    made.ending(BEGIN)
    assert made.deadline is None
    made.close()


@on_loop
async def test_a_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with manager(tmp_path) as unit:
        environ = {"NOTIFY_SOCKET": unit.address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getppid())}
        other = service(loop, environ, warn=pytest.fail, hindrance=unhindered)
        own = service(loop, environ | {"WATCHDOG_PID": str(os.getpid())}, warn=pytest.fail, hindrance=unhindered)
        for made in (other, own):
            made.starting(BEGIN)
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
    assert app.supervisor.wait(60) == 0


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
