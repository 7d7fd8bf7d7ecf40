"""CPU and memory of whole jobs, by psutil: a job's first process and all below it.

A sample goes in slices, so that the loop is never held for long. Process objects are kept between samples: making them
is most of what psutil costs. A job of one thread that has not run since the last sample has used nothing, and has no
new child: its last reading stands. PSS, which the kernel adds up page by page, is read at every thirtieth sample only,
and everything with it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import psutil

from supervisor.core.runs import RunId
from supervisor.core.status import Vital
from supervisor.engine.containment import tree
from supervisor.engine.slices import in_slices
from supervisor.values import dataclass, field

PSS_EVERY = 30
OF_ONE_THREAD = 3
"""Links of /proc/PID/task: two, and one a thread."""


@dataclass(slots=True)
class Watched:
    """A job's processes as of the last sample, and the CPU seconds that they had used by then."""

    processes: dict[int, psutil.Process] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)
    at: float | None = None
    rss: int = 0
    pss: int | None = None
    ran: bytes | None = None
    """What ``_ran`` said at the last sample."""


class Vitals:
    """The latest readings, by run."""

    def __init__(self, pids: Callable[[], Mapping[RunId, int]], sampled: Callable[[], None] = lambda: None) -> None:
        """Take who tells the first process of each run, and who wants to know when a sample is complete."""
        self._pids = pids
        self._sampled = sampled
        self._watched: dict[RunId, Watched] = {}
        self._going: Iterator[None] | None = None
        self._count = 0
        self.readings: dict[RunId, Vital] = {}

    def sample(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a sample; one that is still going on goes on instead."""
        if self._going is None:
            self._count += 1
            self._going = self._sample()
            in_slices(loop, self._going, self._is_complete)

    def _is_complete(self) -> None:
        self._going = None
        self._sampled()

    def _sample(self) -> Iterator[None]:
        pids = dict(self._pids())
        for gone in self._watched.keys() - pids.keys():
            del self._watched[gone]
            self.readings.pop(gone, None)
        for run_id, pid in pids.items():
            watched = self._watched.setdefault(run_id, Watched())
            yield from self._measure(run_id, watched, pid, with_pss=(self._count + run_id) % PSS_EVERY == 0)

    def _measure(self, run_id: RunId, watched: Watched, pid: int, *, with_pss: bool) -> Iterator[None]:
        """Read a job's processes one after the other; a pid that was used again counts from nothing."""
        now = time.monotonic()
        ran = _ran(pid)
        has_rested = ran is not None and ran == watched.ran and watched.processes.keys() == {pid}
        watched.ran = ran
        if has_rested and not with_pss:
            watched.at = now
            self.readings[run_id] = Vital(cpu_percent=0.0, rss_bytes=watched.rss, pss_bytes=watched.pss)
            return
        kept, watched.processes = watched.processes, {}
        for each in tree(pid):
            with suppress(psutil.Error, OSError):  # gone, or no descriptor left to look
                watched.processes[each] = kept.get(each) or psutil.Process(each)
            yield
        used, rss, pss = 0.0, 0, 0
        cpu: dict[int, float] = {}
        for each, process in watched.processes.items():
            with suppress(psutil.Error, OSError):  # gone, or no descriptor left to look
                times = process.cpu_times()
                cpu[each] = times.user + times.system
                used += max(0.0, cpu[each] - watched.cpu.get(each, 0.0))
                rss += process.memory_info().rss
                if with_pss:
                    pss += process.memory_full_info().pss
            yield
        percent = None if watched.at is None or now <= watched.at else round(100 * used / (now - watched.at), 1)
        watched.cpu, watched.at, watched.rss = cpu, now, rss
        watched.pss = pss if with_pss else watched.pss
        self.readings[run_id] = Vital(cpu_percent=percent, rss_bytes=rss, pss_bytes=watched.pss)


def _ran(pid: int) -> bytes | None:
    """Return how long and how often a process of one thread has run, to be compared; None where there are more.

    The kernel counts nanoseconds on the CPU, those waited for one, and turns on it (/proc/PID/schedstat,
    CONFIG_SCHED_INFO).
    """
    try:
        if os.stat(f"/proc/{pid}/task").st_nlink != OF_ONE_THREAD:
            return None
        schedstat = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(schedstat, 100)
        finally:
            os.close(schedstat)
    except OSError:
        return None
