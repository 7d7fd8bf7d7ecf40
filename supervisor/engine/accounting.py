"""What the kernel has counted of a run that has a cgroup: all that it ever started, whether it is left or not.

https://docs.kernel.org/admin-guide/cgroup-v2.html. What needs a controller that is not had is None.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def account(path: str) -> dict[str, Any] | None:
    """Return the figures of a cgroup; None where there is none.

    ``path``, ``processes``, ``cpu_s``, ``throttled_s`` (of ``limits.cpu``), ``memory_bytes`` and ``memory_peak_bytes``.
    """
    if not Path(path).is_dir():
        return None
    cpu = _pairs(f"{path}/cpu.stat")
    return {
        "path": path,
        "processes": sum(len(_read(f"{each}/cgroup.procs").split()) for each, _, _ in os.walk(path)),
        "cpu_s": _seconds(cpu.get("usage_usec")),
        "throttled_s": _seconds(cpu.get("throttled_usec")),
        "memory_bytes": _number(f"{path}/memory.current"),
        "memory_peak_bytes": _number(f"{path}/memory.peak"),
    }


def _pairs(path: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in _read(path).splitlines())


def _seconds(microseconds: str | None) -> float | None:
    return None if microseconds is None else int(microseconds) / 1_000_000


def _number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text else None


def _read(path: str) -> str:
    with suppress(OSError):  # no such controller, no such kernel, or gone meanwhile
        return Path(path).read_text()
    return ""
