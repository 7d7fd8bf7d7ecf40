"""A board that is written as plain data and read again is the same board: equal, and it goes on in the same way."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from test_tree_chaos import Tree as TreeOfJobs
from world import MINUTE, NOON, SECOND, World, long_lived, periodic, worker

from supervisor.core.board import Board
from supervisor.core.checks import HealthCheck as HealthCheck_
from supervisor.core.checks import HttpProbe, Told
from supervisor.core.events import (
    Beat,
    Event,
    PauseRequested,
    Ready,
    RestartRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)
from supervisor.core.exits import Code, ErrorRecord
from supervisor.core.job import Job, Limit, Missed, Overlap, Process, Run
from supervisor.core.notifier import Notifier, On, Program
from supervisor.core.runs import SlotId
from supervisor.core.schedule import Delay, Every, parse_cron, zone
from supervisor.core.snapshot import BoardSnapshot
from supervisor.plain import Fd, PlainError, Reader, Writer
from supervisor.values import dataclass, replace


def again(snapshot: BoardSnapshot) -> BoardSnapshot:
    """Return what is read of what was written."""
    text = json.dumps(Writer(Job).document(snapshot, BoardSnapshot))
    found: BoardSnapshot = Reader(Job, zone=zone).value(json.loads(text), BoardSnapshot)
    return found


def go_on_elsewhere(world: World) -> None:
    """Have the world go on with a board that was written and read."""
    board = world.board
    snapshot = board.snapshot()
    assert again(snapshot) == snapshot
    world.board = Board.restored(again(snapshot), board.rules)
    assert world.board.snapshot() == snapshot
    assert world.board.deadline() == board.deadline()


class Upgrades(TreeOfJobs):
    """The chaos of the tree, with upgrades in between: every rule and invariant of it holds for the new board too."""

    @rule()
    def the_board_is_written_and_read(self) -> None:
        go_on_elsewhere(self.world)


TestUpgrades = Upgrades.TestCase
TestUpgrades.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def jobs() -> tuple[Job, ...]:
    """Return jobs of every kind, whose rules use what a board remembers; no two of them are due at the same instant."""
    berlin = parse_cron("*/7 * * * *", zone("Europe/Berlin"))
    arguments = Run(target="jobs:run", args=(1, 2.5, "x", NOON, NOON.date(), [{"a": NOON.time()}]), kwargs={"b": True})
    return (
        long_lived("web", limit=Limit(max_restarts=2, within=MINUTE), stop_timeout=5 * SECOND),
        long_lived("told", ready=Told.NOTIFY, health=HealthCheck_(probe=HttpProbe("http://localhost:1/"))),
        worker("clock", Every(interval=20.3 * SECOND), max_age=5.03 * MINUTE, heartbeat=40.2 * SECOND),
        replace(periodic("poll", Every(interval=15.1 * SECOND), retries=2, deadline=MINUTE), target=arguments),
        periodic("queue", Every(interval=10.7 * SECOND), overlap=Overlap.QUEUE),
        periodic("beside", Every(interval=25.9 * SECOND), overlap=Overlap.ALLOW, max_parallel=2),
        periodic("after", Delay(delay=30 * SECOND), jitter=5 * SECOND, missed=Missed.ALL),
        periodic("berlin", berlin, timeout=9 * SECOND),
        replace(long_lived("two"), instances=2, process=Process(env={"A": "\udc80"}, user="nobody", umask=0o22)),
    )


ORDERS: dict[str, Event] = {
    "start": StartRequested(),
    "stop": StopRequested(),
    "restart": RestartRequested(),
    "pause": PauseRequested(),
    "resume": ResumeRequested(),
}


def steps() -> st.SearchStrategy[list[tuple[str, int]]]:
    kinds = st.sampled_from(
        ["pass", "end", "fail", "tick", "ready", "beat", "trigger", "scale", "set", "sleep", "end all", *ORDERS]
    )
    return st.lists(st.tuples(kinds, st.integers(0, 40)), max_size=25)


def do(world: World, kind: str, number: int) -> None:
    """Let one thing happen."""
    board, alive = world.board, sorted(world.alive)
    run_id = alive[number % len(alive)] if alive else 0
    name = world.jobs[number % len(world.jobs)].name
    match kind:
        case "pass":
            world.until(world.now.wall + number * SECOND)
        case "end" | "fail" if alive:
            error = ErrorRecord(type="E", message="m", traceback="t") if kind == "fail" else None
            world.end(run_id, Code(int(kind == "fail")), error)
        case "tick" if world.ticking:
            world.end_tick(min(world.ticking))
        case "ready" | "beat" if alive:
            world.perform(board.handle(Ready(run_id) if kind == "ready" else Beat(run_id), world.now))
        case "trigger" if world.jobs[number % len(world.jobs)].schedule is not None:
            world.perform(board.trigger(SlotId(name), world.now))
        case "scale":
            world.perform(board.scale("two", 1 + number % 3, world.now))
        case "set":
            world.set_clock((number - 20) * MINUTE)
        case "sleep":
            world.suspend(world.now.wall + number * SECOND)
        case "end all" if number > 35:
            world.perform(board.shut_down(0, world.now))
        case _ if kind in ORDERS:
            world.tell(name, ORDERS[kind])


@settings(deadline=None, max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(happens=steps())
def test_a_board_goes_on_in_the_same_way_after_any_number_of_upgrades(happens: list[tuple[str, int]]) -> None:
    one, other = (World(jobs(), max_running=3, workers=frozenset({"clock"})) for _ in range(2))
    seen = 0
    for kind, number in happens:
        do(one, kind, number)
        do(other, kind, number)
        go_on_elsewhere(other)
        # whose deadlines come at the same instant, in either order
        assert sorted(map(repr, other.orders[seen:])) == sorted(map(repr, one.orders[seen:]))
        seen = len(one.orders)
        assert other.board.snapshot() == one.board.snapshot()


def test_what_a_manifest_says_beside_its_jobs_is_read_again_too() -> None:
    told = Notifier(name="ops", to=Program(argv=("mail",)), on=frozenset({On.LATE}))
    document = json.loads(json.dumps(Writer().document(told, Notifier)))
    assert Reader(zone=zone).value(document, Notifier) == told


@dataclass(frozen=True, slots=True)
class Held:
    """Something with descriptors."""

    fds: tuple[Fd, ...]
    more: int = 7


def test_the_writer_knows_every_descriptor_that_it_has_written() -> None:
    writer = Writer()
    writer.document(Held((Fd(3), Fd(9))), Held)
    assert writer.fds == [3, 9]


def test_a_field_that_an_older_version_has_not_written_has_its_default() -> None:
    assert Reader(zone=zone).value({"value": {"fds": []}, "shared": {}}, Held) == Held(())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"fds": [], "less": 1}, "Held has unknown fields: less"),
        ({"fds": ["3"]}, "fds[0]: '3' is no int"),
        ({}, "missing 1 required positional argument: 'fds'"),
        ([], "[] is no Held"),
    ],
)
def test_what_this_version_does_not_know_is_refused_with_its_place(value: object, problem: str) -> None:
    with pytest.raises(PlainError, match=re.escape(problem)):
        Reader(zone=zone).value({"value": value, "shared": {}}, Held)


def test_a_state_that_this_version_does_not_know_is_refused() -> None:
    world = World((long_lived("web"),))
    document = json.loads(json.dumps(Writer(Job).document(world.board.snapshot(), BoardSnapshot)))
    document["value"]["slots"][0]["state"]["is"] = "Meditating"
    with pytest.raises(PlainError, match=re.escape('slots[0].state: "Meditating" is not known')):
        Reader(Job, zone=zone).value(document, BoardSnapshot)
