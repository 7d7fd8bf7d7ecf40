"""The making of processes, in lots: what each needs is prepared, then all are forked, then each is told of.

After a fork, every page that the fork server writes to is copied once more, some 2 us each. Between the forks of a lot
only what a fork itself needs is touched; preparing and telling are paid for once a lot.
"""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from supervisor.engine import cgroups, child, forking, interpreter
from supervisor.engine.marker import Marker
from supervisor.engine.probe import probe
from supervisor.engine.wards import Ward, Wards
from supervisor.linux import CommandLine, EnvironSlot
from supervisor.wire import Message

LOT = 8
"""Processes that are made at once, and then told of."""
SPARE_FDS = 32 + 2 * LOT
"""Descriptors that are kept back from new processes: for the files in /proc by which the living ones are ended, and for
the cgroup and the pidfd of each in a lot."""

MALFORMED = (ValueError, TypeError, KeyError, AttributeError)
"""What comes of an order that is not as it should be."""

Order = tuple[Message, list[int]]
Tell = Callable[[Message, Sequence[int]], None]


class Surroundings(NamedTuple):
    """What the fork server has for its children."""

    environ: Mapping[str, str]
    """What the environment of a ``command`` starts from."""
    run_id_slot: EnvironSlot
    nofile: tuple[int, int]
    """Soft and hard limit of open files."""
    marker: Marker
    delegation: cgroups.Delegation | None


class _Birth(NamedTuple):
    """A process that can be forked."""

    spec: Message
    inherited: child.Inherited
    cgroup: str | None
    into: int | None
    """A descriptor of the cgroup that it is to be born in; None where it has to join it, or has none."""
    process: interpreter.Process
    number: int
    """Of the order."""
    stop_signal: int
    stop_timeout: float | None


class Births:
    """Makes the processes that are asked for."""

    def __init__(
        self,
        surroundings: Surroundings,
        wards: Wards,
        tell: Tell,
        *,
        spares: tuple[int, int],
        handled: tuple[int, ...],
    ) -> None:
        """Take two descriptors above all that a child keeps, and the signals that are not at their default here."""
        self._wards = wards
        self._marker = surroundings.marker
        self._delegation = surroundings.delegation
        self._tell = tell
        self._run_id_slot = surroundings.run_id_slot
        self._command_line = CommandLine()
        self._into_cgroup = forking.IntoCgroup()
        self._common = child.Common(
            parent=os.getpid(),
            run_id_slot=self._run_id_slot.memory,
            command_line=self._command_line.memory,
            environ=surroundings.environ,
            environ_table=interpreter.environ_table(),
            encoding=sys.getfilesystemencoding(),
            nofile=surroundings.nofile,
            stdin=interpreter.line_buffered_streams(),
            spares=spares,
            handled=handled,
        )

    def make(self, orders: Sequence[Order]) -> None:
        """Make processes, each of which is a ward then; tell of them, and why another was not made."""
        with self._prepared(orders) as births:
            forked = [(birth, self._forked(birth)) for birth in births]
        for birth, pid in forked:
            if pid is not None:
                self._introduce(birth, pid)

    @contextmanager
    def _prepared(self, orders: Sequence[Order]) -> Iterator[list[_Birth]]:
        births: list[_Birth] = []
        can_be_born_there = self._into_cgroup.can_serve
        try:
            for spec, fds in orders:
                try:
                    births.append(self._birth(spec, fds, can_be_born_there=can_be_born_there))
                except OSError as error:
                    self._tell_failed(spec, error)
                except MALFORMED as error:
                    self._tell(misunderstood(spec, error), ())
            yield births
        finally:
            for birth in births:
                if birth.into is not None:
                    os.close(birth.into)

    def _birth(self, spec: Message, fds: Sequence[int], *, can_be_born_there: bool) -> _Birth:
        """Prepare a process.

        Raises:
            OSError: it cannot be had.
        """
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(fds) < 3 or max(fds) + SPARE_FDS > most:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        stdout, stderr, channel, *stack = fds
        number, stop_signal, stop_timeout = int(spec["number"]), int(spec["stop_signal"]), spec["stop_timeout"]
        run_id = self._run_id_slot.fit(spec["env"]["JOBVISOR_RUN_ID"])
        title = self._command_line.fit(spec["title"])
        cgroup = self._make_cgroup(spec)
        into = None
        if cgroup is not None and can_be_born_there:
            try:
                into = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                cgroups.leave(cgroup)
                raise
        joined = cgroup if into is None else None
        inherited = child.Inherited(
            stdout, stderr, channel, stack[0] if stack else None, run_id, title, self._common, joined
        )
        fork = os.fork if into is None else self._into_cgroup.fork_into(into)
        process = _process(spec, inherited, fork)
        return _Birth(spec, inherited, cgroup, into, process, number, stop_signal, stop_timeout)

    def _forked(self, birth: _Birth) -> int | None:
        """Fork, and return the pid; None where there is no process to be had, which is told."""
        self._marker.begin(birth.number)
        try:
            try:
                return birth.process.begin()
            except OSError as error:
                if birth.into is None or error.errno in forking.NOT_HAD:
                    raise
                self._into_cgroup.give_up()
                return _process(birth.spec, birth.inherited._replace(cgroup=birth.cgroup), os.fork).begin()
        except OSError as error:
            self._not_born(birth, error)
            return None

    def _introduce(self, birth: _Birth, pid: int) -> None:
        """Watch a new process, and tell of it; one with which that cannot be done is ended."""
        run_id = birth.spec["run_id"]
        try:
            pidfd = os.pidfd_open(pid)
            self._tell({"fact": "spawned", "run_id": run_id, "pid": pid}, (pidfd,))
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._not_born(birth, error)
            return
        self._wards.add(
            Ward(
                run_id, pid, pidfd, stop_signal=birth.stop_signal, stop_timeout=birth.stop_timeout, cgroup=birth.cgroup
            )
        )

    def _not_born(self, birth: _Birth, error: OSError) -> None:
        if birth.cgroup is not None:
            cgroups.leave(birth.cgroup)
        self._tell_failed(birth.spec, error)

    def _tell_failed(self, spec: Message, error: OSError) -> None:
        told = {"fact": "spawn_failed", "run_id": spec["run_id"], "errno": error.errno, "text": error.strerror}
        self._tell(told, ())

    def _make_cgroup(self, spec: Message) -> str | None:
        """Return the cgroup of a run, or None where there is none to have.

        Raises:
            OSError: it cannot be made, and a limit depends on it.
        """
        if self._delegation is None:
            return None
        limits = spec.get("cgroup_limits", {})
        try:
            path = cgroups.path_of(self._delegation, spec["job"], spec["run_id"])
            return cgroups.make(self._delegation, path, limits, spec.get("nice"))
        except OSError as error:
            if limits.keys() & set(self._delegation.controllers):
                raise OSError(error.errno, f"its cgroup cannot be made: {error.strerror}") from error
            self._tell({"fact": "cgroup_failed", "text": error.strerror}, ())
            return None


def misunderstood(order: Message, error: Exception) -> Message:
    """Return what is told of an order that is not as it should be."""
    return {"fact": "misunderstood", "text": f"{str(order)[:80]}: {error!r}"}


def _process(spec: Message, inherited: child.Inherited, fork: Callable[[], int]) -> interpreter.Process:
    return interpreter.Process(child.main if spec["order"] == "spawn" else probe, (spec, inherited), fork)
