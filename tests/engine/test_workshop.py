"""A Worker keeps its process: ticks one at a time, a stop between them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import eventually
from rig import Rig, real

from supervisor.core.events import Cause, Exited, Serving, Spawned, TickEnded
from supervisor.core.exits import Code, Signalled

CODE = """
import os, sys, time
from supervisor import Worker, job

def say(text):
    print(text, flush=True)

class Clock(Worker):
    def __init__(self, *args, **kwargs):
        say(f"made {args} {kwargs}")
        self.count = 0
    def start(self):
        say("start")
    def tick(self):
        self.count += 1
        say(f"tick {self.count} {job.run_id} {job.due}")
    def stop(self, reason):
        say(f"stop {reason}")

class Slow(Worker):
    def tick(self):
        say("up")
        while not os.path.exists("go"):
            time.sleep(0.01)
        say(f"ticked {job.stopping}")
    def stop(self, reason):
        say(f"stop {reason}")

class Waits(Slow):
    def tick(self):
        say("up")
        say(f"waited {job.wait(1000)}")

class Careless(Worker):
    def tick(self):
        say("up")
        time.sleep(1000)

class Leaves(Worker):
    def tick(self):
        sys.exit(0)

class FailsToStart(Worker):
    def start(self):
        raise ValueError("no")

class FailsToStop(Worker):
    def stop(self, reason):
        raise ValueError("no")

class Unscheduled(Worker):
    def start(self):
        say("up")

class Busy(Worker):
    def tick(self):
        sum(range(2_000_000))
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def worker(rig: Rig, target: str, **settings: object) -> int:
    run_id = rig.run(target, **settings)
    rig.serving(run_id)
    return run_id


def test_a_worker_is_made_once_with_its_arguments_and_ticks_with_its_state(rig: Rig) -> None:
    run_id = rig.run("Clock", 1, kwargs={"on": True})
    rig.serving(run_id)
    due = datetime(2026, 11, 24, 12, tzinfo=UTC)
    first = rig.tick(run_id, due)
    rig.ticked(first)
    second = rig.tick(run_id)
    rig.ticked(second)
    assert rig.out(run_id).splitlines()[:3] == ["made (1,) {'on': True}", "start", f"tick 1 {first} {due}"]
    assert rig.out(run_id).splitlines()[3].startswith(f"tick 2 {second} ")


def test_in_a_burst_of_starts_each_worker_is_spawned_before_it_serves(rig: Rig) -> None:
    rig.call(lambda: [rig.spawn_here(rig.job("Clock"), run_id) for run_id in range(100, 140)])
    for run_id in range(100, 140):
        rig.serving(run_id)
        assert rig.kinds(run_id) == [Spawned, Serving]


def test_a_tick_without_a_due_time_has_none(rig: Rig) -> None:
    run_id = worker(rig, "Clock")
    rig.ticked(rig.tick(run_id, datetime(2026, 11, 24, tzinfo=UTC)))
    second = rig.tick(run_id)
    rig.ticked(second)
    assert rig.out(run_id).endswith(f"tick 2 {second} None\n")


def test_the_cost_of_a_tick_is_measured_where_it_runs(rig: Rig) -> None:
    fact = rig.ticked(rig.tick(worker(rig, "Busy")))
    assert fact.duration.total_seconds() > 0
    assert fact.cpu.total_seconds() > 0


def test_a_stop_lets_a_tick_end_then_stop_runs_with_the_reason(rig: Rig) -> None:
    run_id = worker(rig, "Slow")
    tick = rig.tick(run_id)
    rig.up(run_id)
    rig.stop(run_id, cause=Cause.RELOAD)
    rig.call(lambda: None)  # a turn of the loop later the Worker has been told
    (rig.folder / "go").touch()
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "up\nticked True\nstop reload\n"
    assert rig.ticked(tick).error is None
    assert rig.kinds(run_id) == [Spawned, Serving, TickEnded, Exited]


def test_a_stop_of_an_idle_worker_runs_stop(rig: Rig) -> None:
    run_id = worker(rig, "Clock")
    rig.stop(run_id, cause=Cause.SHUTDOWN)
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id).endswith("stop shutdown\n")


def test_a_stop_ends_a_wait_within_a_tick(rig: Rig) -> None:
    run_id = worker(rig, "Waits")
    rig.tick(run_id)
    rig.up(run_id)
    rig.tick(run_id)  # a message that is no stop does not end the wait
    rig.stop(run_id)
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "up\nwaited True\nstop stop\n"


def test_a_worker_without_a_stop_of_its_own_dies_in_mid_tick(rig: Rig) -> None:
    run_id = worker(rig, "Careless")
    rig.tick(run_id)
    rig.up(run_id)
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)


def test_a_worker_whose_stop_signal_cannot_be_handled_still_serves(rig: Rig) -> None:
    run_id = worker(rig, "Clock", stop_signal=9)
    rig.ticked(rig.tick(run_id))
    rig.stop(run_id, 9)
    assert rig.ended(run_id) == Signalled(9)


def test_a_clean_exit_within_a_tick_is_a_clean_end(rig: Rig) -> None:
    run_id = worker(rig, "Leaves")
    rig.tick(run_id)
    assert rig.ended(run_id) == Code(0)
    assert rig.kinds(run_id) == [Spawned, Serving, Exited]


def test_a_start_that_raises_is_an_end_with_its_error_and_no_serving(rig: Rig) -> None:
    run_id = rig.run("FailsToStart")
    exited = rig.exited(run_id)
    assert exited.ended == Code(1)
    assert exited.error is not None
    assert rig.kinds(run_id) == [Spawned, Exited]


def test_a_stop_that_raises_is_no_clean_end(rig: Rig) -> None:
    run_id = worker(rig, "FailsToStop")
    rig.stop(run_id)
    exited = rig.exited(run_id)
    assert exited.ended == Code(1)
    assert exited.error is not None
    assert exited.error.message == "no"


def test_a_worker_without_a_schedule_lives_and_is_stopped(rig: Rig) -> None:
    run_id = worker(rig, "Unscheduled")
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)


def test_a_tick_that_raises_has_its_place_and_no_frame_of_ours(rig: Rig) -> None:
    run_id = worker(rig, "Unscheduled")
    error = rig.ticked(rig.tick(run_id)).error
    assert error is not None
    assert error.message == "Unscheduled has a schedule, so it needs a method tick(self)"
    assert "engine/workshop" not in error.traceback
    eventually(lambda: rig.ended(run_id) == Code(1))
