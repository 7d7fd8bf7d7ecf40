"""What a fork server that died has left: job processes, which its death ends, and what they had started.

All of it has become the supervisor's (it is child subreaper), to be killed and reaped. Nothing here blocks.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from supervisor.core.runs import RunId
from supervisor.engine import cgroups, containment
from supervisor.engine.cgroups import Delegation
from supervisor.engine.forkserver import NAME
from supervisor.engine.pidfd import ended


async def bury(
    loop: asyncio.AbstractEventLoop,
    leaders: Mapping[int, int],
    run_ids: Collection[RunId],
    cgroup: Delegation | None = None,
) -> None:
    """Return when nothing of these runs is left; ``leaders`` are the first processes, each with its pidfd.

    A leader is killed although its death signal ends it: a set-user-ID program has none. ``cgroup`` is where all the
    runs had theirs.
    """
    if cgroup is not None:
        cgroups.kill(cgroup.path)
    for pidfd in leaders.values():
        with suppress(*containment.OUT_OF_REACH):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pidfd in leaders.values():
        await ended(loop, os.dup(pidfd))
    for pid in leaders:
        containment.signal_group(pid, signal.SIGKILL)
        _reap(pid)

    def belongs(pid: int, seen: containment.Sight) -> bool:
        is_known = seen.session in leaders or seen.name == NAME or _run(pid) in run_ids
        return is_known or (cgroup is not None and cgroups.holds(cgroup.path, pid))

    await _sweep(loop, belongs)
    if cgroup is not None:
        cgroups.clear(cgroup.path)


def _run(pid: int) -> RunId | None:
    return containment.run_of(pid)


async def _sweep(loop: asyncio.AbstractEventLoop, belongs: Callable[[int, containment.Sight], bool]) -> None:
    """Kill and reap, again until nothing new has become our child.

    A fork that the dead fork server had not told of yet is known by the name that it has from it.
    """
    while True:
        sights = [(pid, seen) for pid in containment.children(os.getpid()) if (seen := containment.sight(pid))]
        doomed = [pid for pid, seen in sights if belongs(pid, seen)]
        if not doomed:
            return
        for pid in doomed:
            containment.kill(pid)
        for pid in doomed:
            with suppress(ProcessLookupError):
                await ended(loop, os.pidfd_open(pid))
            _reap(pid)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
