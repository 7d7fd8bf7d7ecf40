"""Ending all that a job has started: its group, its descendants, and those that left both.

What belongs to a job is known by three marks, in this order: it was seen below the job's first process; it is in the
job's session; it carries the job's run id in the environment that it was started with. What clears all three before
the first stop (``env -i`` and a double fork) is out of reach without a cgroup.
"""

import os
import signal
from contextlib import suppress
from typing import NamedTuple

MARK = b"JOBVISOR_RUN_ID="


class Kin(NamedTuple):
    """A process as it was seen: a pid alone may be used again."""

    pid: int
    started: int


class Sight(NamedTuple):
    """What /proc/PID/stat says of a process."""

    kin: Kin
    session: int
    is_zombie: bool


def children(pid: int) -> list[int]:
    """Return the pids of a process's children, of all its threads (proc(5), CONFIG_PROC_CHILDREN)."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # hot: no Path objects
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as listing:
                found += map(int, listing.read().split())
    return found


def sight(pid: int) -> Sight | None:
    """Return what a process is, or None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()
    return Sight(Kin(pid, int(fields[19])), int(fields[3]), fields[0] in {b"Z", b"X"})


def descendants(pid: int) -> set[Kin]:
    """Return every process below one, walking again until nothing new appears."""
    found: set[Kin] = set()
    while True:
        fresh = {seen.kin for below in _walk(pid) if (seen := sight(below)) is not None} - found
        if not fresh:
            return found
        found |= fresh


def _walk(pid: int) -> list[int]:
    below = children(pid)
    for child in list(below):
        below += _walk(child)
    return below


def run_of(pid: int) -> int | None:
    """Return the run id in the environment that a process was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read()
    except OSError:
        return None
    for entry in environ.split(b"\0"):
        if entry.startswith(MARK):
            value = entry[len(MARK) :]
            return int(value) if value.isdigit() else None
    return None


def kill(pid: int) -> None:
    """Kill one process and, walking down, all below it."""
    for kin in descendants(pid):
        with suppress(ProcessLookupError):
            os.kill(kin.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def signal_group(leader: int, number: int) -> None:
    """Send a signal to the process group of a session leader; a group that is gone is no error."""
    with suppress(ProcessLookupError):
        os.killpg(leader, number)
