"""An engine without processes: what each target does is written in a script. It keeps the real one's contract."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.events import (
    EngineFact,
    Exited,
    Serving,
    Spawned,
    SpawnFailed,
    TargetFound,
    TargetMissing,
    TickEnded,
)
from supervisor.core.exits import Code, ErrorRecord, Exit, NotStarted, Signalled
from supervisor.core.job import Command, Job, Run
from supervisor.core.kind import Kind
from supervisor.core.runs import RunId
from supervisor.engine.engine import Output
from supervisor.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a target does. One that does not end by itself lives until it is stopped."""

    kind: Kind = Kind.FUNCTION
    ends: Exit | None = None
    error: ErrorRecord | None = None
    is_stubborn: bool = False
    """Only a kill ends it."""
    is_broken: bool = False
    """A Worker whose ticks raise."""
    failed: NotStarted | None = None
    """There is no process at all."""


@dataclass(slots=True)
class FakeEngine:
    """Answers every order at the loop's next turn, as its target's script says; unknown targets are missing."""

    loop: asyncio.AbstractEventLoop
    report: Callable[[EngineFact], None]
    scripts: Mapping[str, Script]
    warnings: tuple[str, ...] = ()
    orders: list[object] = field(default_factory=list)
    """Every order, as it came."""
    _pids: dict[RunId, int] = field(default_factory=dict)
    _running: dict[RunId, Script] = field(default_factory=dict)

    async def start(self) -> None:
        """Nothing to start."""

    def spawn(self, order: Spawn, output: Output) -> None:
        self.orders.append(order)
        os.close(output.stdout)
        os.close(output.stderr)
        run_id = order.run.run_id
        script = self.scripts[target_of(order.job)]
        if script.failed is not None:
            self._later(SpawnFailed(run_id, script.failed))
            return
        self._running[run_id] = script
        self.loop.call_soon(self._begin, run_id, script)

    def _begin(self, run_id: RunId, script: Script) -> None:
        self._pids[run_id] = 100_000 + run_id
        self.report(Spawned(run_id, self._pids[run_id]))
        if script.kind is Kind.WORKER:
            self._later(Serving(run_id))
        if script.ends is not None:
            self.end(run_id, script.ends, script.error)

    def end(self, run_id: RunId, how: Exit, error: ErrorRecord | None = None) -> None:
        """Let a run end like this."""
        if self._running.pop(run_id, None) is not None:
            self.loop.call_soon(self._exited, Exited(run_id=run_id, ended=how, error=error))

    def _exited(self, fact: Exited) -> None:
        self._pids.pop(fact.run_id, None)
        self.report(fact)

    def stop(self, order: Stop) -> None:
        self.orders.append(order)
        script = self._running.get(order.run_id)
        if script is not None and not script.is_stubborn:
            how = Code(0) if script.kind is Kind.WORKER else Signalled(order.signal)
            self.loop.call_soon(self.end, order.run_id, how)

    def kill(self, run_id: RunId, *, dump: bool = False) -> None:
        self.orders.append(("kill", run_id, dump))
        self.loop.call_soon(self.end, run_id, Signalled(9))

    def tick(self, order: Tick) -> None:
        self.orders.append(order)
        script = self._running.get(order.run_id)
        if script is None:
            return
        tick_id = order.run.run_id
        error = ErrorRecord(type="ValueError", message="no such thing") if script.is_broken else None
        self._later(TickEnded(run_id=order.run_id, tick_id=tick_id, error=error))
        if error is not None:
            self.end(order.run_id, Code(1), error)

    def probe(self, jobs: Sequence[Job], found: Callable[[str, TargetFound | TargetMissing], None]) -> None:
        for job in jobs:
            script = self.scripts.get(target_of(job))
            fact = TargetFound(script.kind) if script else TargetMissing(f'job "{job.name}": cannot import it')
            self.loop.call_soon(found, job.name, fact)

    def pids(self) -> Mapping[RunId, int]:
        return dict(self._pids)

    async def close(self) -> None:
        self._running.clear()
        self._pids.clear()

    def _later(self, fact: EngineFact) -> None:
        self.loop.call_soon(self.report, fact)


def target_of(job: Job) -> str:
    """Return the key of a job's script."""
    match job.target:
        case Run(target=target):
            return target
        case Command(argv=argv):
            return argv[0]
