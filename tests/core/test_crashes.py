"""A supervisor killed at any moment: every due time still ends in exactly one final row, and runs at most once."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import MINUTE, World, at, periodic

from supervisor.core.actions import Keep
from supervisor.core.events import PauseRequested, ResumeRequested, StartRequested, StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Job, Missed, Overlap
from supervisor.core.runs import Closed, Finalized, NotRun, Outcome, SlotId
from supervisor.core.schedule import Every
from supervisor.core.states import last_due
from supervisor.values import replace

A = SlotId("a")
KILLS = st.lists(st.tuples(st.integers(1, 900), st.integers(0, 900)), min_size=1, max_size=4)
"""Seconds that each life lasts, and that the machine is then without a supervisor."""


def lives(jobs: tuple[Job, ...], kills: list[tuple[int, int]], lasting: timedelta, most: int | None) -> list[World]:
    worlds = [World(jobs, max_running=most, obedient=True)]
    for lived, down in kills:
        world = worlds[-1]
        world.until(world.now.wall + timedelta(seconds=lived), lasting=lasting)
        worlds.append(world.killed(until=world.now.wall + timedelta(seconds=down)))
    worlds[-1].until(worlds[-1].now.wall + 30 * MINUTE, lasting=lasting)
    return worlds


def unsettled(world: World, name: str) -> set[datetime | None]:
    """Return the due times that the last life has still in hand."""
    slot = world.board.slots[SlotId(name)]
    runs = {run.due_at for run in [*world.alive.values(), *world.ticking.values()] if run.slot.job == name}
    coming = slot.table.next_due_at if slot.table else None
    delayed = {coming} if coming is not None and coming <= world.now.wall else set()
    lanes = [world.board.slots[lane] for lane in world.board.lanes(slot.id)]
    return {*slot.waiting, *runs, *delayed, *(last_due(each.state) for each in (slot, *lanes))} - {None}


@given(
    missed=st.sampled_from(Missed),
    overlap=st.sampled_from(Overlap),
    most=st.sampled_from([None, 1, 2]),
    jitter=st.sampled_from([0, 3]),
    minutes=st.integers(1, 12),
    kills=KILLS,
)
def test_each_due_time_has_one_final_row_and_one_run_at_most(
    missed: Missed, overlap: Overlap, most: int | None, jitter: int, minutes: int, kills: list[tuple[int, int]]
) -> None:
    jobs = tuple(periodic(name, missed=missed, overlap=overlap, jitter=jitter * MINUTE) for name in ("a", "b"))
    worlds = lives(jobs, kills, minutes * MINUTE, most)
    for job in jobs:
        counted = Counter(due for world in worlds for due, _ in world.finals(job.name))
        assert set(counted.values()) <= {1}
        passed = int((worlds[-1].now.wall - at("12:00")) / (5 * MINUTE))
        expected = {at("12:00") + n * 5 * MINUTE for n in range(1, passed + 1)}
        assert counted.keys() | unsettled(worlds[-1], job.name) == expected
        starts = Counter(due for world in worlds for name, due, _ in world.starts if name == job.name)
        assert set(starts.values()) <= {1}


ACTS = st.lists(
    st.tuples(
        st.integers(1, 900), st.sampled_from(["pause", "resume", "stop", "start", "trigger", "sleep", "fail", "kill"])
    ),
    max_size=8,
)
"""What happens, and after how many seconds."""


def act(world: World, what: str) -> World:
    match what:
        case "pause":
            world.tell("a", PauseRequested())
        case "resume":
            world.tell("a", ResumeRequested())
        case "stop":
            world.perform(world.board.tell([A], StopRequested(), world.now))
        case "start":
            world.perform(world.board.tell([A], StartRequested(), world.now))
        case "trigger":
            world.perform(world.board.trigger(A, world.now))
        case "sleep":
            world.suspend(world.now.wall + 7 * MINUTE)
        case "fail":
            for run_id in [run_id for run_id, run in world.alive.items() if run.slot.job == "a"]:
                world.end(run_id, Code(1))
        case _:
            return world.killed(until=world.now.wall + 3 * MINUTE)
    return world


def final_rows(worlds: list[World]) -> Iterator[datetime | None]:
    """Yield the due time of each final row as the record of runs has them in the end.

    A failed attempt whose retry was dropped, or died with its supervisor, is final after all; a lost one that is tried
    again is not.
    """
    rows = [(world, row) for world in worlds for row in world.rows if row.run.slot.job == "a"]
    orders = [order.record for world in worlds for order in world.orders if isinstance(order, Keep)]
    dropped = {record.run_id for record in orders if isinstance(record, Finalized)}
    tried = {(row.run.due_at, row.run.attempt) for _, row in rows}
    for world, row in rows:
        match row:
            case NotRun():
                yield row.run.due_at
            case Closed(run=run, outcome=outcome, final=final):
                is_tried_again = (run.due_at, run.attempt + 1) in tried
                has_no_more = run.run_id in dropped or (world is not worlds[-1] and not is_tried_again)
                if has_no_more or (final and not (outcome is Outcome.LOST and is_tried_again)):
                    yield run.due_at


@given(
    missed=st.sampled_from(Missed),
    overlap=st.sampled_from(Overlap),
    most=st.sampled_from([None, 1]),
    timing=st.sampled_from([{}, {"retries": 2}, {"jitter": 3 * MINUTE}, {"pause_after_failures": 1, "retries": 1}]),
    acts=ACTS,
)
def test_the_same_whatever_people_do(
    missed: Missed, overlap: Overlap, most: int | None, timing: dict[str, object], acts: list[tuple[int, str]]
) -> None:
    jobs = (periodic("a", missed=missed, overlap=overlap, **timing), periodic("b"))
    worlds = [World(jobs, max_running=most, obedient=True)]
    by_hand: set[datetime | None] = set()
    for wait, what in acts:
        worlds[-1].until(worlds[-1].now.wall + timedelta(seconds=wait), lasting=7 * MINUTE)
        by_hand |= {worlds[-1].now.wall} if what == "trigger" else set()
        after = act(worlds[-1], what)
        if after is not worlds[-1]:
            after.obedient = True
            worlds.append(after)
    worlds[-1].until(worlds[-1].now.wall + MINUTE, lasting=7 * MINUTE)
    counted = Counter(final_rows(worlds))
    assert {due for due, rows in counted.items() if rows > 1} <= by_hand
    passed = int((worlds[-1].now.wall - at("12:00")) / (5 * MINUTE))
    expected = {at("12:00") + n * 5 * MINUTE for n in range(1, passed + 1)}
    found = counted.keys() | unsettled(worlds[-1], "a")
    assert expected <= found
    assert found - expected <= by_hand


def test_a_queued_due_time_outlives_a_crash() -> None:
    first = World((periodic(overlap=Overlap.QUEUE),))
    first.until(at("12:11"))
    second = first.killed(until=at("12:12"))
    assert second.starts == [("poll", at("12:10"), at("12:12"))]


def test_a_due_time_without_room_outlives_a_crash() -> None:
    first = World((periodic("a"), periodic("b")), max_running=1)
    first.until(at("12:06"))
    second = first.killed(until=at("12:07"))
    assert ("b", at("12:05"), at("12:07")) in second.starts


@pytest.mark.parametrize(
    "edited",
    [
        (periodic(schedule=Every(interval=7 * MINUTE)),),
        (replace(periodic(), enabled=False),),
        (replace(periodic(), schedule=None),),
    ],
    ids=["another interval", "disabled", "no schedule"],
)
def test_a_due_time_that_waited_when_its_job_was_edited_is_missed(edited: tuple[Job, ...]) -> None:
    first = World((periodic(overlap=Overlap.QUEUE),))
    first.until(at("12:11"))
    second = first.killed(until=at("12:12"), jobs=edited)
    assert (at("12:10"), "missed") in second.finals("poll")
