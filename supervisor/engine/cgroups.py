"""Control groups, version 2: what a job starts stays in the job's own, and is ended with it whatever it does.

Used where the supervisor's cgroup is its own to divide: a unit with ``Delegate=yes``, a container, a machine without a
manager of cgroups. Everywhere else all works without, by sessions, descendants and marks (``containment``).

    OURS                      the cgroup that the supervisor was started in
    ├─ supervisor             it and its helpers, where OURS hands controllers on: no process may stay in between
    └─ jobvisor-NAME          NAME is the state folder's, so what a killed supervisor has left is known
       └─ JOB.RUN             one a run

https://docs.kernel.org/admin-guide/cgroup-v2.html, https://systemd.io/CGROUP_DELEGATION/
"""

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from supervisor.engine.containment import own_children
from supervisor.linux import contents

WANTED = ("memory", "pids")
"""Controllers that keep ``limits``; what a job has used is told without any."""
SHARES_CPU = "cpu"
"""The one that keeps ``limits.cpu``. It divides CPU time among jobs, and no longer by ``nice`` among processes, so it
is had where a job has that limit."""
PERIOD = 100_000
"""Microseconds in which a job may use its share of a CPU."""
LEFTOVERS_WITHIN = 10.0
"""Seconds that the kernel has to end what a killed supervisor has left."""
SYSTEMD_RUNS = "/run/systemd/system"
"""sd_booted(3)."""


class Delegation(NamedTuple):
    """Where the cgroups of jobs are made, and which limits the kernel keeps there."""

    path: str
    controllers: tuple[str, ...] = ()


# -- the supervisor ----------------------------------------------------------------------------------------------------


def claim(state_dir: str, wanted: Sequence[str] = WANTED) -> Delegation | None:
    """Make ready the cgroup of a state folder's jobs, and end what is still in it; None where there is none to have."""
    ours = _ours()
    if ours is None or not _is_delegated(ours):
        return None
    from hashlib import blake2b  # noqa: PLC0415  # not for the fork server, which has this module too

    name = f"jobvisor-{blake2b(os.fsencode(state_dir), digest_size=6).hexdigest()}"
    if os.path.basename(ours) == "supervisor" and os.path.isdir(f"{os.path.dirname(ours)}/{name}"):
        ours = os.path.dirname(ours)
    path = f"{ours}/{name}"
    try:
        if os.path.isdir(path):
            end(path)
        os.makedirs(path, exist_ok=True)
        return Delegation(path, _hand_on(ours, path, wanted))
    except OSError:
        return None


@contextmanager
def claimed(state_dir: str, *, shares_cpu: bool = False) -> Iterator[Delegation | None]:
    """Have what ``claim`` makes as long as the context lasts, with the controller that keeps shares of CPUs or not."""
    with held(claim(state_dir, (*WANTED, SHARES_CPU) if shares_cpu else WANTED)) as delegation:
        yield delegation


@contextmanager
def held(delegation: Delegation | None) -> Iterator[Delegation | None]:
    """Have a delegation as long as the context lasts; then nothing of it is left."""
    try:
        yield delegation
    finally:
        if delegation is not None:
            end(delegation.path)
            _remove(delegation.path)


def end(path: str) -> None:
    """Kill everything below a cgroup, wait for its end, and remove the cgroups in it."""
    kill(path)
    until = time.monotonic() + LEFTOVERS_WITHIN
    with open(f"{path}/cgroup.events", "rb", buffering=0) as events:
        notified = select.poll()
        notified.register(events, select.POLLPRI)
        while not is_told_empty(events.fileno()) and time.monotonic() < until:
            notified.poll(max(0.0, until - time.monotonic()) * 1000)
    clear(path)


def clear(path: str) -> None:
    """Remove the cgroups in a cgroup; those in use stay."""
    for each in inside(path):
        if each != path:
            _remove(each)


def _ours() -> str | None:
    """Return the folder of the cgroup that this process is in, by cgroups(7) and proc(5)."""
    with suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/cgroup") as file:
            inside = next(line.rstrip("\n")[3:] for line in file if line.startswith("0::"))
        with open("/proc/self/mountinfo") as file:
            mounts = [(line.split(" - ")[0].split(), line.split(" - ")[1].split()) for line in file]
        for mount, kind in mounts:
            root, point = mount[3], mount[4]
            if kind[0] == "cgroup2" and (inside + "/").startswith(root.rstrip("/") + "/"):
                return os.path.normpath(f"{point}/{inside.removeprefix(root.rstrip('/'))}")
    return None


def _is_delegated(path: str) -> bool:
    """Tell whether a cgroup is ours to divide.

    Who is not root can write only where he was meant to. Root can write everywhere, so where systemd runs its mark is
    asked for: the extended attribute that it sets with ``Delegate=``.
    """
    if not os.access(path, os.W_OK | os.X_OK):
        return False
    if os.geteuid() != 0 or not os.path.isdir(SYSTEMD_RUNS):
        return True
    for mark in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(path, mark) == b"1":
                return True
    return False


def _hand_on(ours: str, path: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Have the wanted controllers count in ``path``, as far as they can be had; return those that do."""
    offered = [name for name in wanted if name in read(f"{ours}/cgroup.controllers").split()]
    if not offered:
        return ()
    if os.path.exists(f"{ours}/cgroup.type"):  # not the root, the one cgroup that may have both
        _make_room(ours)
    for folder in (ours, path):
        for name in offered:
            with suppress(OSError):  # somebody else's process is in it
                _write(f"{folder}/cgroup.subtree_control", f"+{name}")
    return tuple(name for name in offered if name in read(f"{path}/cgroup.subtree_control").split())


def _make_room(ours: str) -> None:
    """Move this process and its helpers into a cgroup below, unless others are here too."""
    here = {int(pid) for pid in read(f"{ours}/cgroup.procs").split()}
    if here <= {os.getpid(), *own_children()}:
        os.makedirs(f"{ours}/supervisor", exist_ok=True)
        for pid in here:
            _write(f"{ours}/supervisor/cgroup.procs", str(pid))


# -- the fork server ---------------------------------------------------------------------------------------------------


def path_of(delegation: Delegation, job: str, run_id: int) -> str:
    """Return where the cgroup of a run is made."""
    return f"{delegation.path}/{job}.{run_id}"


def make(delegation: Delegation, path: str, limits: Mapping[str, int], nice: int | None = None) -> str:
    """Make the cgroup of a run; ``limits`` are those that the kernel can keep, by their controllers.

    ``nice`` means nothing among processes of several cgroups where those divide CPU time, so the cgroup has it too.

    Raises:
        OSError: it cannot be made, or a limit cannot be set.
    """
    os.mkdir(path)
    try:
        for controller, value in limits.items():
            if controller in delegation.controllers:
                _write(f"{path}/{controller}.max", str(value) if controller != SHARES_CPU else _quota(value))
        if nice is not None and SHARES_CPU in delegation.controllers:
            _write(f"{path}/cpu.weight.nice", str(nice))
        if "memory" in limits and "memory" in delegation.controllers:
            _write(f"{path}/memory.oom.group", "1")
            with suppress(OSError):  # a kernel without swap
                _write(f"{path}/memory.swap.max", "0")
    except OSError:
        _remove(path)
        raise
    return path


def _quota(percent: int) -> str:
    return f"{percent * PERIOD // 100} {PERIOD}"


def join(path: str) -> None:
    """Move this process into a cgroup."""
    _write(f"{path}/cgroup.procs", "0")


def kill(path: str) -> None:
    """Kill everything in a cgroup and below, forks in the making too; one that is gone is no error.

    A kernel before 5.14 has no ``cgroup.kill``, and a cgroup that a job has made threaded takes none: there each
    process is killed by its threads, again until no new one is found.
    """
    try:
        _write(f"{path}/cgroup.kill", "1")
    except OSError:
        _kill_each(path)


def _kill_each(path: str) -> None:
    killed: set[str] = set()
    while fresh := {pid for each in inside(path) for pid in read(f"{each}/cgroup.threads").split()} - killed:
        for thread in fresh:
            with suppress(OSError):
                _kill_process(path, thread)
        killed |= fresh


def _kill_process(path: str, thread: str) -> None:
    """Kill the process of a thread that was in a cgroup, not one that has got its number since."""
    of = next((line.split()[1] for line in read(f"/proc/{thread}/status").splitlines() if line.startswith("Tgid:")), "")
    if not of:
        return
    pidfd = os.pidfd_open(int(of))
    try:
        if holds(path, int(of)):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)


def is_empty(path: str) -> bool:
    """Tell whether no process is left in a cgroup and below."""
    return not _is_populated(read(f"{path}/cgroup.events").encode())


def open_events(path: str) -> int:
    """Return a descriptor that can be watched for EPOLLPRI once ``is_told_empty`` has read it."""
    return os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)


def is_told_empty(events: int) -> bool:
    """Tell whether no process is left, by the descriptor of ``open_events``."""
    return not _is_populated(os.pread(events, 4096, 0))


def holds(path: str, pid: int) -> bool:
    """Tell whether a process, a zombie too, is of this cgroup or of one below it."""
    inside = read(f"/proc/{pid}/cgroup")
    name = os.path.basename(path)
    return any(line.startswith("0::") and f"/{name}/" in f"{line}/" for line in inside.splitlines())


class Toll(NamedTuple):
    """What the kernel has counted of a run."""

    cpu: float = 0.0
    """Seconds, of everything that was ever in it."""
    was_oom_killed: bool = False


def leave(path: str) -> Toll:
    """Remove the cgroup of a run that is over, and return what it has counted."""
    cpu = int(figures(f"{path}/cpu.stat").get("usage_usec", 0))
    killed = int(figures(f"{path}/memory.events").get("oom_kill", 0))
    _remove(path)
    return Toll(cpu / 1_000_000, killed > 0)


def _remove(path: str) -> None:
    """Remove a cgroup and what a job has made in it; one that is in use is left to the next supervisor."""
    try:
        os.rmdir(path)
    except OSError:
        for each in inside(path):
            with suppress(OSError):
                os.rmdir(each)


def inside(path: str) -> Iterator[str]:
    """Yield a cgroup after those in it."""
    for folder, _, _ in os.walk(path, topdown=False):
        yield folder


def _is_populated(events: bytes) -> bool:
    return b"populated 1" in events


def figures(path: str) -> dict[str, str]:
    """Return what a file with a name and a number a line says; nothing where it is gone."""
    pairs = (line.partition(" ") for line in read(path).splitlines())
    return {name: number for name, _, number in pairs}


def read(path: str) -> str:
    """Return what a file says; nothing where it is gone."""
    try:
        return contents(path).decode()
    except OSError:  # ENODEV: it went while it was open
        return ""


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
