"""What may grow in a long life, as it is read from outside, and the rule by which a growth is told from noise."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from statistics import median

import psutil
from conftest import children, descendants
from program import Program

from supervisor.values import dataclass

PARTS = {"fork servers": "engine.forkserver", "log process": "logs.process"}
"""Beside the supervisor. There are several fork servers while jobs of older code live."""
SHARE = 0.03
"""By which the median of the last third may be above that of the middle one."""
BYTES = 512 * 1024
COUNT = 3
"""What it may be above in any case: of bytes, and of what is counted."""
ROWS_SHARE = 0.08
"""Of a job's rows, up to 100 too many wait to be deleted together."""

Sample = Mapping[str, float]


def sample(program: Program) -> Sample:
    """Return every figure of now, by its name.

    Raises:
        psutil.NoSuchProcess: a part of the program is being replaced.
    """
    taken = _figures("supervisor", [program.pid])
    for name, module in PARTS.items():
        taken |= _figures(name, [pid for pid in children(program.pid) if _is_of(pid, module)])
    state = program.folder / ".jobvisor"
    files = [path for path in state.rglob("*") if path.is_file()]
    return {
        **taken,
        "processes of the program": len(descendants(program.pid)),
        "history: rows": rows(state / "history.db"),
        "history: bytes of the database": _size(state / "history.db"),
        "history: bytes of the write-ahead log": _size(state / "history.db-wal"),
        "state folder: files": len(files),
        "state folder: bytes of logs": sum(map(_size, (state / "logs").iterdir())),
        "cgroups": sum(1 for _ in _cgroups(program.pid)),
    }


def _figures(name: str, pids: Sequence[int]) -> dict[str, float]:
    if not pids:
        raise psutil.NoSuchProcess(0, name)
    processes = [psutil.Process(pid) for pid in pids]
    memory = [each.memory_full_info() for each in processes]
    return {
        f"{name}: PSS, bytes": sum(each.pss for each in memory),
        f"{name}: USS, bytes": sum(each.uss for each in memory),
        f"{name}: descriptors": sum(each.num_fds() for each in processes),
        f"{name}: threads": sum(each.num_threads() for each in processes),
    }


def _is_of(pid: int, module: str) -> bool:
    with suppress(OSError):
        return f"supervisor.{module}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def rows(database: Path) -> int:
    """Return how many runs the history holds."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM runs").fetchone()[0])


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _cgroups(pid: int) -> Iterator[Path]:
    """Yield the cgroups that hold the jobs of a supervisor."""
    pids = {str(pid) for pid in descendants(pid)}
    for mount in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        for folder in mount.glob("**/jobvisor-*"):
            runs = [each for each in folder.iterdir() if each.is_dir()]
            with suppress(OSError):
                if any(pids & set((each / "cgroup.procs").read_text().split()) for each in runs):
                    yield from runs


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure over the time of a soak."""

    name: str
    values: Sequence[float]

    @property
    def thirds(self) -> tuple[float, float, float]:
        """The median of each third; the first is the way up to where it stays."""
        third = len(self.values) // 3
        return median(self.values[:third]), median(self.values[third:-third]), median(self.values[-third:])

    @property
    def is_flat(self) -> bool:
        """True where the last third is not above the middle one by more than noise."""
        _, middle, last = self.thirds
        share, least = (ROWS_SHARE if "rows" in self.name else SHARE), (BYTES if "bytes" in self.name else COUNT)
        return last <= middle + max(middle * share, least)

    def line(self, width: int) -> str:
        """Return the figures as a line of a table."""
        show: Callable[[float], str] = _megabytes if "bytes" in self.name else _number
        figures = "".join(f"{show(each):>12}" for each in (*self.thirds, min(self.values), max(self.values)))
        return f"{self.name:<{width}}{figures}  {'flat' if self.is_flat else 'GROWS'}"


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return each figure over the samples."""
    return [Trend(name, [each[name] for each in samples]) for name in samples[0]]


def table(found: Sequence[Trend]) -> str:
    """Return the figures for people."""
    width = max(len(each.name) for each in found) + 2
    heads = "".join(f"{head:>12}" for head in ("1st third", "2nd third", "3rd third", "least", "most"))
    return os.linesep.join([f"{'median of':<{width}}{heads}", *(each.line(width) for each in found)])


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.2f} MB"


def _number(count: float) -> str:
    return f"{count:,.0f}"
