"""One contract for every engine: the real one, and the fake that stands for it in the tests of the loop above."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from acts import CODE
from conftest import eventually
from fake import FakeEngine, Script
from rig import Rig, open_fds, real

from supervisor.core.actions import Stop
from supervisor.core.events import Cause, Exited, Serving, Spawned, SpawnFailed, TargetFound, TargetMissing, TickEnded
from supervisor.core.exits import Code, ErrorRecord, NotStarted, Signalled
from supervisor.core.job import Command
from supervisor.core.kind import Kind

ERROR = ErrorRecord(type="ValueError", message="no such thing")
SCRIPTS = {
    "acts:sleeper": Script(),
    "acts:done": Script(ends=Code(0)),
    "acts:three": Script(ends=Code(3)),
    "acts:boom": Script(ends=Code(1), error=ERROR),
    "acts:stubborn": Script(is_stubborn=True),
    "acts:Clock": Script(kind=Kind.WORKER),
    "acts:Broken": Script(kind=Kind.WORKER, is_broken=True),
    "true": Script(kind=Kind.COMMAND, ends=Code(0)),
    "/no/such/program": Script(kind=Kind.COMMAND, ends=NotStarted("exec", 2, "No such file or directory")),
}


@pytest.fixture(params=["real", "fake"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "real":
        with real(tmp_path, CODE) as made:
            yield made
        return
    made = Rig(tmp_path)
    made.begin(lambda rig: FakeEngine(rig.loop, rig.facts.append, SCRIPTS))
    try:
        yield made
    finally:
        made.end()


def up(rig: Rig, run_id: int) -> None:
    """Wait until a run's own code runs; the fake has none."""
    if isinstance(rig.engine, FakeEngine):
        rig.spawned(run_id)
    else:
        rig.up(run_id)


def test_a_living_run_is_spawned_with_a_pid_and_nothing_more(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    up(rig, run_id)
    assert rig.kinds(run_id) == [Spawned]
    assert rig.call(rig.engine.pids) == {run_id: rig.spawned(run_id)}


def test_a_run_that_ends_is_reported_once_and_has_no_pid_any_more(rig: Rig) -> None:
    run_id = rig.run("done")
    assert rig.ended(run_id) == Code(0)
    assert rig.kinds(run_id) == [Spawned, Exited]
    assert rig.call(rig.engine.pids) == {}


def test_an_exit_code_is_reported(rig: Rig) -> None:
    assert rig.ended(rig.run("three")) == Code(3)


def test_an_exception_is_reported_with_the_end(rig: Rig) -> None:
    exited = rig.exited(rig.run("boom"))
    assert exited.ended == Code(1)
    assert exited.error is not None
    assert (exited.error.type, exited.error.message) == ("ValueError", "no such thing")


def test_nothing_is_reported_from_within_an_order(rig: Rig) -> None:
    def spawn() -> int:
        rig.spawn_here(rig.job("done"), 50)
        return len(rig.facts)

    assert rig.call(spawn) == 0
    rig.exited(50)


def test_a_stop_ends_a_run_by_its_signal(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    up(rig, run_id)
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)


def test_a_stop_in_the_same_turn_as_the_start_is_not_lost(rig: Rig) -> None:
    rig.exited(rig.run("done"))  # runs are made now, and not kept until they can be
    rig.call(lambda: [rig.spawn_here(rig.job("sleeper"), 50), rig.engine.stop(Stop(50, 15, Cause.STOP))])
    assert rig.ended(50) == Signalled(15)
    assert rig.kinds(50) == [Spawned, Exited]


def test_a_stop_may_be_resisted_and_a_kill_may_not(rig: Rig) -> None:
    run_id = rig.run("stubborn")
    up(rig, run_id)
    rig.stop(run_id)
    done = rig.run("done")
    rig.exited(done)
    assert rig.kinds(run_id) == [Spawned]
    rig.kill(run_id)
    assert rig.ended(run_id) == Signalled(9)


def test_orders_about_a_run_that_is_over_are_ignored(rig: Rig) -> None:
    run_id = rig.run("done")
    rig.exited(run_id)
    rig.stop(run_id)
    rig.kill(run_id)
    rig.tick(run_id)
    rig.exited(rig.run("done"))
    assert rig.kinds(run_id) == [Spawned, Exited]


def test_a_worker_is_spawned_then_serving_and_ticks(rig: Rig) -> None:
    run_id = rig.run("Clock")
    rig.serving(run_id)
    assert rig.ticked(rig.tick(run_id)).error is None
    assert rig.kinds(run_id) == [Spawned, Serving, TickEnded]


def test_a_tick_that_raises_is_told_and_then_the_end(rig: Rig) -> None:
    run_id = rig.run("Broken")
    rig.serving(run_id)
    error = rig.ticked(rig.tick(run_id)).error
    assert error is not None
    exited = rig.exited(run_id)
    assert exited.ended == Code(1)
    assert exited.error is not None
    assert exited.error.type == error.type == "ValueError"
    assert rig.kinds(run_id) == [Spawned, Serving, TickEnded, Exited]


def test_a_worker_with_a_stop_of_its_own_ends_cleanly(rig: Rig) -> None:
    run_id = rig.run("Clock")
    rig.serving(run_id)
    rig.stop(run_id)
    assert rig.ended(run_id) == Code(0)


def test_a_program_that_is_not_there_is_a_start_that_failed(rig: Rig) -> None:
    ended = rig.ended(rig.command("/no/such/program"))
    assert isinstance(ended, NotStarted)
    assert (ended.step, ended.errno) == ("exec", 2)


def test_the_engine_closes_its_copies_of_the_output(rig: Rig) -> None:
    rig.exited(rig.run("done"))
    before = open_fds()
    for _ in range(5):
        rig.exited(rig.run("done"))
    eventually(lambda: open_fds() <= before)


def test_a_probe_tells_of_every_target_once(rig: Rig) -> None:
    told = rig.probe(
        rig.job("done", name="a"),
        rig.job("nowhere", name="b"),
        rig.job("Clock", name="c"),
        rig.job(Command(argv=("true",)), name="d"),
    )
    facts = dict(told)
    assert len(told) == len(facts) == 4
    assert facts["a"] == TargetFound(Kind.FUNCTION)
    assert isinstance(facts["b"], TargetMissing)
    assert facts["c"] == TargetFound(Kind.WORKER)
    assert facts["d"] == TargetFound(Kind.COMMAND)


def test_closing_ends_what_still_runs(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    up(rig, run_id)
    rig.wait(rig.engine.close())
    assert rig.call(rig.engine.pids) == {}
    assert not [fact for fact in rig.facts if isinstance(fact, SpawnFailed)]
