"""What the kernel knows of a process: memory, CPU time, wake-ups (proc(5))."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process: resident, its share of what it shares, and what it alone owns."""

    rss: int
    pss: int
    uss: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What processes have done so far, all threads together."""

    cpu: float
    """Seconds, from the nanoseconds of schedstat."""
    wakeups: int
    """Voluntary context switches: each is one sleep that ended or will end in a wake-up."""

    def __sub__(self, before: "Activity") -> "Activity":
        return Activity(self.cpu - before.cpu, self.wakeups - before.wakeups)


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    fields = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(fields["Rss"], fields["Pss"], fields["Private_Clean"] + fields["Private_Dirty"])


def activity(pids: list[int]) -> Activity:
    """Return what these processes have done since each of them started."""
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    nanoseconds = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    switches = sum(
        int(line.split()[1])
        for thread in threads
        for line in (thread / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches:")
    )
    return Activity(nanoseconds / 1e9, switches)


def children(pid: int) -> list[int]:
    """Return the pids of the direct children of a process."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def _fields(path: Path) -> dict[str, int]:
    """Return the ``Name: 12 kB`` lines of a file, in bytes."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[-1] == "kB"}
