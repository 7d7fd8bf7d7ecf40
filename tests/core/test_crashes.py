"""A supervisor killed at any moment: every due time still ends in exactly one final row, and runs at most once."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import MINUTE, World, at, periodic

from supervisor.core.job import Job, Missed, Overlap
from supervisor.core.runs import SlotId
from supervisor.core.schedule import Every
from supervisor.values import replace

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
    return {*slot.waiting, *runs, *delayed}


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
