"""What the kernel has counted of a run that has a cgroup: all that it ever started, whether it is left or not.

https://docs.kernel.org/admin-guide/cgroup-v2.html. What needs a controller that is not had is None.
"""

from pathlib import Path
from typing import Any

from supervisor.engine.cgroups import figures, inside, read


def account(path: str) -> dict[str, Any] | None:
    """Return the figures of a cgroup; None where there is none.

    ``path``, ``processes``, ``cpu_s``, ``throttled_s`` (of ``limits.cpu``), ``memory_bytes`` and ``memory_peak_bytes``.
    """
    if not Path(path).is_dir():
        return None
    cpu = figures(f"{path}/cpu.stat")
    return {
        "path": path,
        "processes": sum(len(read(f"{each}/cgroup.procs").split()) for each in inside(path)),
        "cpu_s": _seconds(cpu.get("usage_usec")),
        "throttled_s": _seconds(cpu.get("throttled_usec")),
        "memory_bytes": _number(f"{path}/memory.current"),
        "memory_peak_bytes": _number(f"{path}/memory.peak"),
    }


def _seconds(microseconds: str | None) -> float | None:
    return None if microseconds is None else int(microseconds) / 1_000_000


def _number(path: str) -> int | None:
    text = read(path)
    return int(text) if text else None
