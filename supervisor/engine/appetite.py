"""Whether jobs stay within ``limits.memory`` where no cgroup sees to it: sampled, a process and all below it.

RSS is cheap to read and counts shared pages for each process; PSS, which the kernel adds up page by page, is asked for
only where the sum of RSS is over the limit. Nothing is looked at while no job has a limit.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from supervisor.core.runs import RunId
from supervisor.engine.containment import tree
from supervisor.engine.slices import in_slices

EVERY = 1.0
"""Seconds between two looks."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Watched(NamedTuple):
    """The first process of a run, and how many bytes all of it may use."""

    pid: int
    limit: int


class Appetite:
    """The runs that have a limit; ``exceeded`` is called at each look at which one is over it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, exceeded: Callable[[RunId], None]) -> None:
        self._loop = loop
        self._exceeded = exceeded
        self._runs: dict[RunId, Watched] = {}
        self._next: asyncio.TimerHandle | None = None
        self._is_looking = False

    def watch(self, run_id: RunId, pid: int, limit: int) -> None:
        """Look at a run until it is forgotten."""
        self._runs[run_id] = Watched(pid, limit)
        if self._next is None and not self._is_looking:
            self._next = self._loop.call_later(EVERY, self._look)

    def forget(self, run_id: RunId) -> None:
        """Look at a run no more."""
        self._runs.pop(run_id, None)
        if not self._runs and self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next, self._is_looking = None, True
        in_slices(self._loop, self._looking(), self._is_done)

    def _is_done(self) -> None:
        self._is_looking = False
        if self._runs:
            self._next = self._loop.call_later(EVERY, self._look)

    def _looking(self) -> Iterator[None]:
        for run_id, watched in list(self._runs.items()):
            pids: list[int] = []
            for pid in tree(watched.pid):
                pids.append(pid)
                yield
            used = 0
            for measured in (_rss, _pss):
                used = 0
                for pid in pids:
                    used += measured(pid)
                    yield
                if used <= watched.limit:
                    break
            if used > watched.limit and run_id in self._runs:
                self._exceeded(run_id)


def _rss(pid: int) -> int:
    """Return the resident bytes of a process (proc(5), statm); none of one that is gone."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _pss(pid: int) -> int:
    """Return a process' share of its resident bytes (proc(5), smaps_rollup)."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0
