"""Where no cgroup keeps limits.memory, the engine looks, and tells of who is over it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from rig import Rig, real

from supervisor.core.events import MemoryExceeded
from supervisor.core.job import Command, Limits
from supervisor.values import replace

CODE = """
import os, time

def eats(megabytes):
    held = b"x" * (megabytes << 20)
    print("up", flush=True)
    time.sleep(1000)

def eats_in_children(count, megabytes):
    for _ in range(count):
        if os.fork() == 0:
            eats(megabytes)
    time.sleep(1000)

def shares(count, megabytes):
    '''All hold the same pages: the sum of what is resident is far more than there is.'''
    held = b"x" * (megabytes << 20)
    for _ in range(count):
        if os.fork() == 0:
            time.sleep(1000)
    print("up", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def limited(rig: Rig, limit: int, target: str, *args: int) -> int:
    job = rig.job(target, *args)
    return rig.spawn(replace(job, process=replace(job.process, limits=Limits(memory=limit << 20))))


def test_a_job_over_its_limit_is_told_of_again_and_again(rig: Rig) -> None:
    run_id = limited(rig, 64, "eats", 80)
    eventually(lambda: rig.kinds(run_id).count(MemoryExceeded) >= 2)


def test_the_whole_job_counts(rig: Rig) -> None:
    rig.fact(MemoryExceeded, limited(rig, 64, "eats_in_children", 4, 20))


def test_pages_that_are_shared_count_once(rig: Rig) -> None:
    modest = limited(rig, 100, "shares", 4, 50)
    eventually(lambda: "up" in rig.out(modest))
    greedy = limited(rig, 64, "eats", 80)
    eventually(lambda: rig.kinds(greedy).count(MemoryExceeded) >= 2)  # both have been looked at
    assert MemoryExceeded not in rig.kinds(modest)


def test_nothing_is_looked_at_while_no_job_has_a_limit(rig: Rig) -> None:
    rig.spawned(rig.run("eats", 80))
    assert rig.engine._appetite._next is None
    run_id = limited(rig, 640, "eats", 1)
    rig.spawned(run_id)
    assert rig.engine._appetite._next is not None
    rig.kill(run_id)
    rig.ended(run_id)
    assert rig.engine._appetite._next is None


CROWD = """
import os, time
for _ in range(400):
    if os.fork() == 0:
        break
else:
    print("up", flush=True)
time.sleep(1000)
"""


def test_a_look_at_a_job_of_many_processes_goes_in_slices(tmp_path: Path) -> None:
    """Each turn of the loop that is counted while the engine looks is one in which another job is served."""
    with real(tmp_path) as rig:
        job = rig.job(Command(argv=(sys.executable, "-S", "-c", CROWD)))
        run_id = rig.spawn(replace(job, process=replace(job.process, limits=Limits(memory=1 << 20))))
        rig.up(run_id)
        appetite = rig.engine._appetite

        async def turns() -> int:
            appetite._look()
            counted = 0
            while appetite._is_looking:  # the turns are what is counted
                await asyncio.sleep(0)
                counted += 1
            return counted

        assert eventually(lambda: not rig.call(lambda: appetite._is_looking) and rig.wait(turns())) > 5
        rig.fact(MemoryExceeded, run_id)
        rig.kill(run_id)
        rig.ended(run_id)
