"""What is adopted is reaped when it has ended, and nothing is taken from those who wait for their own children."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stage import on_loop

from supervisor import linux
from supervisor.engine import strangers
from supervisor.engine.containment import own_children
from supervisor.engine.strangers import Strangers

ORPHAN = """
import os, sys
if os.fork() == 0:
    os.setsid()
    open(sys.argv[1]).read()
    os._exit(3)
"""
"""It lives until the FIFO has been opened for writing and closed."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "LOOK_AGAIN", 0.05)


async def eventually_none(pids: set[int]) -> None:
    give_up_at = time.monotonic() + 60
    while pids & set(own_children()):
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.005)


@on_loop
async def test_an_adopted_process_is_reaped_after_its_end(tmp_path: Path) -> None:
    end = tmp_path / "end"
    os.mkfifo(end)
    loop = asyncio.get_running_loop()
    linux.adopt_orphans()
    made = Strangers(loop)
    loop.add_signal_handler(signal.SIGCHLD, made.notice)
    before = set(own_children())
    await loop.run_in_executor(None, subprocess.run, [sys.executable, "-c", ORPHAN, end])
    adopted = set(own_children()) - before
    assert len(adopted) == 1
    await loop.run_in_executor(None, end.write_text, "")
    await eventually_none(adopted)
    loop.remove_signal_handler(signal.SIGCHLD)
    made.close()


@on_loop
async def test_a_child_of_our_own_is_left_to_who_waits_for_it_at_once() -> None:
    loop = asyncio.get_running_loop()
    made = Strangers(loop)
    loop.add_signal_handler(signal.SIGCHLD, made.notice)
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])  # noqa: ASYNC220  # it does not block
    ended = asyncio.Event()
    pidfd = os.pidfd_open(child.pid)
    loop.add_reader(pidfd, ended.set)
    await ended.wait()
    assert child.wait() == 7
    loop.remove_reader(pidfd)
    os.close(pidfd)
    loop.remove_signal_handler(signal.SIGCHLD)
    made.close()
