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
from supervisor.engine.agreed import FORK_SERVER
from supervisor.engine.pidfd import ended


async def bury(
    loop: asyncio.AbstractEventLoop,
    leaders: Mapping[int, int],
    run_ids: Collection[RunId],
    *,
    own_cgroups: Collection[str] = (),
    spared: Collection[int] = (),
) -> None:
    """Return when nothing of these runs is left; ``leaders`` are the first processes, each with its pidfd.

    ``own_cgroups`` are those of the runs, ``spared`` the pids of fork servers that live on. A leader is killed although
    its death signal ends it: a set-user-ID program has none.
    """
    for cgroup in own_cgroups:
        cgroups.kill(cgroup)
    for pidfd in leaders.values():
        with suppress(*containment.OUT_OF_REACH):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pid, pidfd in leaders.items():
        await ended(loop, os.dup(pidfd))
        if _is_unreaped(pidfd):
            containment.signal_group(pid, signal.SIGKILL)
            _reap(pid)

    def belongs(pid: int, seen: containment.Sight) -> bool:
        is_known = seen.session in leaders or seen.name == FORK_SERVER or containment.run_of(pid) in run_ids
        return pid not in spared and (is_known or any(cgroups.holds(cgroup, pid) for cgroup in own_cgroups))

    await _sweep(loop, belongs)
    for cgroup in own_cgroups:
        cgroups.leave(cgroup)


def _is_unreaped(pidfd: int) -> bool:
    """Tell whether an ended process has become ours: one that the fork server had reaped has left its pid to others."""
    try:
        return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return False


async def _sweep(loop: asyncio.AbstractEventLoop, belongs: Callable[[int, containment.Sight], bool]) -> None:
    """Kill and reap, again until nothing new has become our child.

    A fork that the dead fork server had not told of yet is known by the name that it has from it.
    """
    looks = 0
    while True:
        doomed, is_unsure = [], False
        for pid in containment.children(os.getpid()):
            try:
                if (seen := containment.sight(pid)) and belongs(pid, seen):
                    doomed.append(pid)
            except containment.InExecError:
                is_unsure = looks < containment.MOST_LOOKS
        if not doomed and not is_unsure:
            return
        if is_unsure:
            looks += 1
            await asyncio.sleep(containment.AN_EXEC)
        for pid in doomed:
            containment.kill(pid)
        for pid in doomed:
            with suppress(ProcessLookupError):
                await ended(loop, os.pidfd_open(pid))
            _reap(pid)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
