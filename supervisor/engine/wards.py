"""The processes that the fork server has made, from their fork to the report of their end.

A process that has ended is looked at by its pidfd, what is left of its job is killed, and only then it is reaped: the
unreaped leader pins the group's id. What the fork server adopts (it is child subreaper) is looked at once per round.
"""

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from supervisor.engine import cgroups, containment


class Ward:
    """A process that the fork server has made and not yet reported the end of."""

    __slots__ = ("cgroup", "events", "kill_at", "known", "pid", "pidfd", "run_id", "stop_signal", "stop_timeout")

    def __init__(
        self,
        run_id: int,
        pid: int,
        pidfd: int,
        *,
        stop_signal: int,
        stop_timeout: float | None,
        cgroup: str | None = None,
    ) -> None:
        self.run_id = run_id
        self.cgroup = cgroup
        """None where cgroups are not ours to make."""
        self.events: int | None = None
        """A descriptor that tells of the end of the last process in the cgroup, while it is waited for."""
        self.pid = pid
        self.pidfd = pidfd
        self.stop_signal = stop_signal
        self.stop_timeout = stop_timeout
        self.known: set[containment.Kin] = set()
        """Descendants seen before the first signal, and others that have been killed: one that dies tells no more whose
        it is."""
        self.kill_at: float | None = None

    def stop(self, number: int) -> None:
        """Signal the whole job; a stopped one would not act on it, so it is continued."""
        self._look_around()
        containment.signal_job(self.pid, number)
        containment.signal_job(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the job's group and first process; what left the group is killed when its end is seen."""
        self._look_around()
        containment.signal_job(self.pid, signal.SIGKILL)
        if self.cgroup is not None:
            cgroups.kill(self.cgroup)

    def _look_around(self) -> None:
        """Remember what is below the first process, where no cgroup knows it."""
        if self.cgroup is None:
            self.known |= containment.descendants(self.pid)


class Wards:
    """All of them, by what they are asked for; what tells of them is watched by the fork server's epoll."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._by_run: dict[int, Ward] = {}
        self._by_pid: dict[int, Ward] = {}
        self._by_pidfd: dict[int, Ward] = {}
        self._by_events: dict[int, Ward] = {}
        self._ended: dict[int, Ward] = {}
        self.is_unsure = False
        """An adopted process does not tell yet whose it is: ``bury`` is to be called again soon."""
        self._looks = 0
        """How often that was so without a pause."""

    def __len__(self) -> int:
        return len(self._by_run)

    def __iter__(self) -> Iterator[Ward]:
        return iter(self._by_run.values())

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._by_run

    def get(self, run_id: int) -> Ward | None:
        """Return the process of a run, if it has one."""
        return self._by_run.get(run_id)

    def add(self, ward: Ward) -> None:
        """Take on a process that has just been made."""
        self._by_run[ward.run_id] = self._by_pid[ward.pid] = self._by_pidfd[ward.pidfd] = ward
        self._epoll.register(ward.pidfd, select.EPOLLIN)

    def note(self, fd: int) -> None:
        """Note what a descriptor tells: a pidfd, that its process has ended; another, that a cgroup may be empty."""
        if fd in self._by_events:
            self._watch_no_more(self._by_events[fd])
            return
        self._epoll.unregister(fd)
        ward = self._by_pidfd.pop(fd)
        self._ended[ward.pid] = ward

    @property
    def has_ended(self) -> bool:
        """True while ended processes wait to be reaped."""
        return bool(self._ended)

    def bury(self) -> Iterable[tuple[Ward, int, Any]]:
        """Kill what ended jobs have left; reap those that left nothing, and return them with status and rusage."""
        for pid in self._ended:
            containment.signal_group(pid, signal.SIGKILL)
        self.is_unsure = False
        looks = self._looks
        haunted = self._sweep() | {pid for pid, ward in self._ended.items() if self._is_haunted(ward)}
        if self.is_unsure:
            return []
        if looks == self._looks:
            self._looks = 0
        return [self._reap(ward) for ward in list(self._ended.values()) if ward.pid not in haunted]

    def _reap(self, ward: Ward) -> tuple[Ward, int, Any]:
        _, status, usage = os.wait4(ward.pid, 0)
        os.close(ward.pidfd)
        self._watch_no_more(ward)
        del self._by_run[ward.run_id], self._by_pid[ward.pid], self._ended[ward.pid]
        return ward, status, usage

    def _is_haunted(self, ward: Ward) -> bool:
        """Kill what an ended job has left in its cgroup, and tell whether some of it is still alive."""
        if ward.cgroup is None or cgroups.is_empty(ward.cgroup):
            return False
        cgroups.kill(ward.cgroup)
        if ward.events is None:
            ward.events = cgroups.open_events(ward.cgroup)
            self._by_events[ward.events] = ward
            self._epoll.register(ward.events, select.EPOLLPRI)
        return not cgroups.is_told_empty(ward.events)

    def _watch_no_more(self, ward: Ward) -> None:
        if ward.events is not None:
            self._epoll.unregister(ward.events)
            del self._by_events[ward.events]
            os.close(ward.events)
            ward.events = None

    def _sweep(self) -> set[int]:
        """Deal with adopted processes; return the leaders whose jobs still have some alive."""
        haunted: set[int] = set()
        for pid in containment.own_children():
            if pid in self._by_pid:
                continue
            seen = containment.sight(pid)
            if seen is None:
                continue
            if seen.is_zombie:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                continue
            owner = self._owner(seen)
            if owner is not None:
                haunted.add(owner.pid)
                owner.known |= {seen.kin, *containment.kill(pid)}
        return haunted

    def _owner(self, seen: containment.Sight) -> Ward | None:
        """Return the ended job that an adopted process belongs to; kill one whose job is long gone."""
        for ward in self._ended.values():
            if seen.kin in ward.known or seen.session == ward.pid:
                return ward
        try:
            run_id = containment.run_of(seen.kin.pid)
        except containment.InExecError:
            self._looks += 1
            self.is_unsure = self._looks <= containment.MOST_LOOKS
            return None
        if run_id is None:
            return None
        if run_id not in self._by_run:
            containment.kill(seen.kin.pid)
            return None
        return self._ended.get(self._by_run[run_id].pid)
