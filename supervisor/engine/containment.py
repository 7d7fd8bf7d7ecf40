"""Ending all that a job has started: its group, its descendants, and those that left both.

What belongs to a job is known by three marks, in this order: it was seen below the job's first process; it is in the
job's session; it carries the job's run id in the environment that it was started with. What clears all three before
the first stop (``env -i`` and a double fork) is out of reach without a cgroup.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from supervisor.linux import contents

MOST_WALKS = 8
"""After which a job that forks faster than it is walked is taken for known: later forks are told by their marks."""

AN_EXEC = 0.001
"""Seconds after which to look again at a process that was in the midst of an exec."""
MOST_LOOKS = 1000
"""Before such a process is taken for nobody's: the disk of its program may not answer."""
MARKS = (b"JOBVISOR_PROCESS=", b"JOBVISOR_RUN_ID=")
"""Where a process says whose it is. A Worker's tick has a run id of its own, and names its process beside it."""
_ENV_END = -2
"""Field of /proc/PID/stat, from the last: where the environment ends, and 0 while there is none."""
OUT_OF_REACH = (ProcessLookupError, PermissionError)
"""It is gone, or it runs as another user (a set-user-ID program of a job that is not root's)."""


class Kin(NamedTuple):
    """A process as it was seen: a pid alone may be used again."""

    pid: int
    started: int


class Sight(NamedTuple):
    """What /proc/PID/stat says of a process."""

    kin: Kin
    name: str
    parent: int
    session: int
    is_zombie: bool


def children(pid: int) -> list[int]:
    """Return the pids of a process's children, of all its threads (proc(5), CONFIG_PROC_CHILDREN)."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, contents(f"/proc/{pid}/task/{thread}/children").split())
    return found


def own_children() -> list[int]:
    """Return the pids of this process's children: those of its first thread, which also gets what it adopts."""
    pid = os.getpid()
    return [int(child) for child in contents(f"/proc/{pid}/task/{pid}/children").split()]


def sight(pid: int) -> Sight | None:
    """Return what a process is, or None where it is gone."""
    try:
        text = contents(f"/proc/{pid}/stat")
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    name = head.partition(b"(")[2].decode(errors="replace")
    return Sight(Kin(pid, int(fields[19])), name, int(fields[1]), int(fields[3]), fields[0] in {b"Z", b"X"})


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it, however deep, by the kernel's own lists."""
    waiting = [pid]
    while waiting:
        yield (pid := waiting.pop())
        waiting += reversed(children(pid))


def descendants(pid: int) -> set[Kin]:
    """Return every process below one, walking again until nothing new appears, or ``MOST_WALKS`` times."""
    found: set[Kin] = set()
    for _ in range(MOST_WALKS):
        fresh = set(_walk(pid)) - found
        if not fresh:
            break
        found |= fresh
    return found


def _walk(pid: int) -> Iterator[Kin]:
    """Yield each process below one, and nobody who has got its pid since it was listed."""
    ours = os.getpid()
    top = sight(pid)
    waiting = [top.kin] if top is not None else []
    while waiting:
        parent = waiting.pop()
        listed = children(parent.pid)
        now = sight(parent.pid)
        if now is not None and now.kin != parent:
            continue
        for seen in filter(None, map(sight, listed)):
            if seen.parent in {parent.pid, ours}:  # ours by now where its parent has ended meanwhile
                yield seen.kin
                waiting.append(seen.kin)


class InExecError(Exception):
    """A process is in the midst of an execve(2): for an instant nobody can read whose it is.

    Who started it may have been told by then that it runs: ``subprocess`` sees a descriptor close, which comes before
    the new memory has its environment. One that was started with none has an address for it all the same.
    """


def run_of(pid: int) -> int | None:
    """Return the run id in the environment that a process was started with.

    Raises:
        InExecError: it cannot be told yet; ask again soon.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
            if not content and _is_without_environ(pid):
                raise InExecError
            content = content or file.read()  # it may have come in between
    except OSError:
        return None
    environ = content.split(b"\0")
    for mark in MARKS:
        for entry in environ:
            if entry.startswith(mark):
                with suppress(ValueError):
                    return int(entry[len(mark) :])
    return None


def _is_without_environ(pid: int) -> bool:
    return int(contents(f"/proc/{pid}/stat").split()[_ENV_END]) == 0


def kill(pid: int) -> set[Kin]:
    """Kill a child of this process that is not reaped and, walking down, all below it, which is returned."""
    below = descendants(pid)
    for kin in below:
        kill_kin(kin)
    with suppress(*OUT_OF_REACH):
        os.kill(pid, signal.SIGKILL)
    return below


def kill_kin(kin: Kin) -> None:
    """Kill a process that somebody else may reap at any time: only the one that was seen, not who has its pid now."""
    with suppress(*OUT_OF_REACH):
        pidfd = os.pidfd_open(kin.pid)
        try:
            now = sight(kin.pid)
            if now is not None and now.kin == kin:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)


def signal_group(leader: int, number: int) -> None:
    """Send a signal to the process group of a session leader; a group that is gone is no error."""
    with suppress(*OUT_OF_REACH):
        os.killpg(leader, number)


def signal_job(leader: int, number: int) -> None:
    """Send a signal to the group of an unreaped child, or to the child alone where it has not come to its own group."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        with suppress(*OUT_OF_REACH):
            os.kill(leader, number)
    except PermissionError:
        return
