"""Trying targets in throw-away processes: the supervisor's side of ``probe``."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence

from supervisor.core.events import TargetFound, TargetMissing
from supervisor.core.exits import Code, Exit, Lost, NotStarted, Signalled, Usage, describe
from supervisor.core.job import Command, Job, Run
from supervisor.core.kind import Kind
from supervisor.core.runs import RunId
from supervisor.engine.programs import program_problem
from supervisor.engine.reports import Listener
from supervisor.engine.targets import Wanted
from supervisor.wire import Message

Found = Callable[[str, TargetFound | TargetMissing], None]
AGAIN_AFTER = 5.0
"""Seconds after which a probe that could not be started is tried again."""


class Probes:
    """The targets that are still to be told of; each job is answered once, whatever its import does."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        environ: Mapping[str, str],
        folder: str,
        patience: float,
        order: Callable[[Message, Listener], RunId],
        kill: Callable[[RunId], None],
    ) -> None:
        self._loop = loop
        self._environ = environ
        self._folder = folder
        self.patience = patience
        self._order = order
        self.kill = kill
        self._timers: set[asyncio.TimerHandle] = set()

    def begin(self, jobs: Sequence[Job], found: Found) -> None:
        """Try the targets of these jobs, in order; programs are only looked for."""
        runs: list[Job] = []
        for job in jobs:
            match job.target:
                case Run():
                    runs.append(job)
                case Command() as command:
                    self._loop.call_soon(found, job.name, self._program(job, command))
        self._try(runs, found)

    def _program(self, job: Job, command: Command) -> TargetFound | TargetMissing:
        if command.shell:
            return TargetFound(Kind.COMMAND)
        path = {**self._environ, **job.process.env}.get("PATH")
        wanted = Wanted(job.name, job.where, command.argv[0], self._folder)
        problem = program_problem(wanted, command.argv[0], path, job.process.cwd)
        return TargetFound(Kind.COMMAND) if problem is None else TargetMissing(problem)

    def _try(self, jobs: Iterable[Job], found: Found) -> None:
        left = {job.name: job for job in jobs}
        if not left:
            return
        probing = _Probing(self, left, found)
        message = {
            "order": "probe",
            "job": "probe",
            "folder": self._folder,
            "cwd": self._folder,
            "title": "jobvisor: trying targets",
            "targets": [
                {"job": job.name, "where": job.where, "target": _target(job), "env": dict(job.process.env)}
                for job in left.values()
            ],
            "stop_signal": int(signal.SIGKILL),
            "stop_timeout": 0,
        }
        probing.run_id = self._order(message, probing)

    def go_on(self, jobs: Iterable[Job], found: Found, *, after: float = 0.0) -> None:
        """Try what a probe that has ended left untried."""
        self.call_later(after, lambda: self._try(list(jobs), found))

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back unless the probes are cancelled before."""
        self._timers = {timer for timer in self._timers if not timer.cancelled() and timer.when() > self._loop.time()}
        timer = self._loop.call_later(seconds, callback)
        self._timers.add(timer)
        return timer

    def cancel(self) -> None:
        """Answer nobody any more."""
        for timer in self._timers:
            timer.cancel()


class _Probing:
    """One throw-away process, and the jobs that it has not told of yet."""

    def __init__(self, probes: Probes, left: dict[str, Job], found: Found) -> None:
        self.run_id: RunId | None = None
        self._probes = probes
        self._left = left
        self._found = found
        self._is_slow = False
        self._timer: asyncio.TimerHandle | None = None

    def spawned(self, pid: int) -> None:  # noqa: ARG002  # it is known by its run id
        """Give the first target its time."""
        self._wait()

    def told(self, message: Message) -> None:
        """Tell of one target, and give the next one its time."""
        match message:
            case {"kind": "found", "job": str(name), "target": str(kind)} if name in self._left:
                self._tell(name, TargetFound(Kind(kind)))
            case {"kind": "missing", "job": str(name), "problem": str(problem)} if name in self._left:
                self._tell(name, TargetMissing(problem))

    def failed(self, why: NotStarted) -> None:  # noqa: ARG002  # says nothing of the targets
        """Try all again later."""
        self._probes.go_on(self._left.values(), self._found, after=AGAIN_AFTER)

    def ended(self, how: Exit, usage: Usage) -> None:  # noqa: ARG002  # nobody asks what a probe cost
        """Go on behind the target at which the process ended, if there is one."""
        self._stop_waiting()
        if self._left and not isinstance(how, Lost):
            job = next(iter(self._left.values()))
            self._tell(job.name, TargetMissing(self._blame(job, how)))
            self._stop_waiting()
        if self._left:
            self._probes.go_on(self._left.values(), self._found)

    def _tell(self, name: str, fact: TargetFound | TargetMissing) -> None:
        del self._left[name]
        self._wait()
        self._found(name, fact)

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self._probes.call_later(self._probes.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self) -> None:
        assert self.run_id is not None
        self._is_slow = True
        self._probes.kill(self.run_id)

    def _blame(self, job: Job, how: Exit) -> str:
        where = f" ({job.where})" if job.where else ""
        lead = f'job "{job.name}"{where}: importing "{_target(job).partition(":")[0]}"'
        match how:
            case _ if self._is_slow:
                return f"{lead} takes more than {self._probes.patience:g} s"
            case Code() | Signalled():
                return f"{lead} ended the process ({describe(how)})"
        return f"{lead} could not be tried: {describe(how)}"


def _target(job: Job) -> str:
    assert isinstance(job.target, Run)
    return job.target.target
