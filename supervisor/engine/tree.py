"""The processes of one job as a tree, for people to look at."""

import time
from typing import Any

import psutil

from supervisor.engine.containment import children

LONGEST = 4096
"""Characters of a command line that are told."""
DEEPEST = 50
"""Generations that are told, far within what JSON may be nested."""


def tree(pid: int, deepest: int = DEEPEST) -> dict[str, Any] | None:
    """Return a process and all below it, down to its ``deepest`` generation; None where it is gone.

    Each has ``pid``, ``command``, ``uptime_s``, ``cpu_s``, ``rss_bytes`` and ``children``. A process that cannot be
    looked at (another user's, with hidepid) says so by nulls.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            words = process.cmdline() or [f"[{process.name()}]"]
            cpu = process.cpu_times()
            told: dict[str, Any] = {
                "pid": pid,
                "command": " ".join(words)[:LONGEST],
                "uptime_s": round(max(0.0, time.time() - process.create_time()), 3),
                "cpu_s": round(cpu.user + cpu.system, 3),
                "rss_bytes": process.memory_info().rss,
            }
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        told = {"pid": pid, "command": None, "uptime_s": None, "cpu_s": None, "rss_bytes": None}
    below = children(pid) if deepest else []
    return told | {"children": [each for child in below if (each := tree(child, deepest - 1)) is not None]}
