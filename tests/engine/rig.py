"""An engine on a loop in a thread of its own, so that a test can order and look at it as it likes."""

import asyncio
import os
import resource
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from conftest import eventually

from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.events import Cause, EngineFact, Exited, Serving, Spawned, TargetFound, TargetMissing, TickEnded
from supervisor.core.exits import Exit
from supervisor.core.job import Command, Job, Process, Run, Supervision
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.engine.briefing import Settings, base_environ
from supervisor.engine.cgroups import Delegation
from supervisor.engine.engine import Engine, Output
from supervisor.engine.generation import Patience

T = TypeVar("T")
Fact = TypeVar("Fact")


class Rig:
    """Gives orders and keeps the facts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.facts: list[EngineFact] = []
        self.warned: list[str] = []
        self.stacks: list[tuple[int, str]] = []
        self.engine: Any = None
        self._run_ids = iter(range(1, 1_000_000))
        self._thread = threading.Thread(target=self.loop.run_forever)

    # -- life ----------------------------------------------------------------------------------------------------------

    def begin(self, make: Callable[["Rig"], Any]) -> None:
        self._thread.start()
        self.engine = self.call(make, self)
        self.wait(self.engine.start())

    def end(self) -> None:
        try:
            for run_id in list(self.call(self.engine.pids)):
                self.call(self.engine.kill, run_id)
            self.wait(self.engine.close())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call in the loop's thread and return what it returns."""

        async def called() -> T:
            return function(*args, **kwargs)

        return self.wait(called())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    # -- orders --------------------------------------------------------------------------------------------------------

    def run(self, target: str, *args: Any, **settings: Any) -> int:
        """Start ``acts:target`` (or ``module:target``), and return the run id."""
        return self.spawn(self.job(target, *args, **settings))

    def command(self, *argv: str, shell: bool = False, **settings: Any) -> int:
        return self.spawn(self.job(Command(argv=argv, shell=shell), **settings))

    def job(
        self,
        target: str | Command,
        *args: Any,
        name: str = "web",
        kwargs: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        where: str = "",
        stop_timeout: float = 10,
        stop_signal: int = signal.SIGTERM,
    ) -> Job:
        what = target if isinstance(target, Command) else None
        return Job(
            name=name,
            target=what or Run(target=_full(str(target)), args=args, kwargs=kwargs or {}),
            process=Process(env=env or {}, cwd=cwd or str(self.folder)),
            supervision=Supervision(stop_timeout=timedelta(seconds=stop_timeout), stop_signal=stop_signal),
            where=where,
        )

    def spawn(self, job: Job, **attempt: Any) -> int:
        run_id = next(self._run_ids)
        self.call(self.spawn_here, job, run_id, **attempt)
        return run_id

    def spawn_here(self, job: Job, run_id: int, **attempt: Any) -> None:
        self.engine.spawn(Spawn(self.attempt(run_id, job.name, **attempt), job), self.output(run_id))

    def attempt(
        self,
        run_id: int,
        name: str = "web",
        *,
        instance: int = 1,
        due_at: datetime | None = None,
        number: int = 1,
        trigger: Trigger = Trigger.START,
    ) -> Attempt:
        return Attempt(run_id=run_id, slot=SlotId(name, instance), trigger=trigger, due_at=due_at, attempt=number)

    def output(self, run_id: int) -> Output:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        out = os.open(self.folder / f"{run_id}.out", flags, 0o600)
        return Output(out, os.open(self.folder / f"{run_id}.err", flags, 0o600))

    def stop(self, run_id: int, number: int = signal.SIGTERM, cause: Cause = Cause.STOP, *, dump: bool = False) -> None:
        self.call(self.engine.stop, Stop(run_id, number, cause, dump=dump))

    def kill(self, run_id: int, *, dump: bool = False) -> None:
        self.call(self.engine.kill, run_id, dump=dump)

    def tick(self, run_id: int, due_at: datetime | None = None) -> int:
        tick_id = next(self._run_ids)
        order = Tick(run_id, self.attempt(tick_id, due_at=due_at, trigger=Trigger.SCHEDULE))
        self.call(self.engine.tick, order)
        return tick_id

    def probe(self, *jobs: Job) -> list[tuple[str, TargetFound | TargetMissing]]:
        """Return what is told of the jobs, in the order in which it came."""
        told: list[tuple[str, TargetFound | TargetMissing]] = []
        self.call(self.engine.probe, jobs, lambda name, fact: told.append((name, fact)))
        eventually(lambda: len(told) >= len(jobs))
        return told

    # -- facts ---------------------------------------------------------------------------------------------------------

    def of(self, run_id: int) -> Sequence[EngineFact]:
        return [fact for fact in self.facts if fact.run_id == run_id]

    def kinds(self, run_id: int) -> list[type]:
        return [type(fact) for fact in self.of(run_id)]

    def fact(self, kind: type[Fact], run_id: int, within: float = 60) -> Fact:
        """Return the first fact of a kind about a run, once there is one."""
        return eventually(
            lambda: next((fact for fact in self.of(run_id) if isinstance(fact, kind)), None), within=within
        )

    def spawned(self, run_id: int) -> int:
        """Return the pid of a run once it has one."""
        return self.fact(Spawned, run_id).pid

    def up(self, run_id: int) -> int:
        """Return the pid of a run once its own code has said that it is up."""
        eventually(lambda: "up\n" in self.out(run_id))
        return self.spawned(run_id)

    def exited(self, run_id: int, within: float = 60) -> Exited:
        return self.fact(Exited, run_id, within)

    def ended(self, run_id: int, within: float = 60) -> Exit:
        return self.exited(run_id, within).ended

    def serving(self, run_id: int) -> None:
        self.fact(Serving, run_id)

    def ticked(self, tick_id: int) -> TickEnded:
        return eventually(
            lambda: next((fact for fact in self.facts if isinstance(fact, TickEnded) and fact.tick_id == tick_id), None)
        )

    def out(self, run_id: int) -> str:
        return (self.folder / f"{run_id}.out").read_text()

    def err(self, run_id: int) -> str:
        return (self.folder / f"{run_id}.err").read_text()

    @property
    def server(self) -> int:
        """The pid of the fork server, once it serves."""
        return eventually(lambda: self.call(self.current))

    def current(self) -> int | None:
        """The pid of the fork server of now, in the loop's thread."""
        server = self.engine._servers.current
        return server.pid if server is not None else None


def _full(target: str) -> str:
    return target if ":" in target else f"acts:{target}"


@contextmanager
def real(
    folder: Path,
    code: str = "",
    *,
    preload: Sequence[str] = (),
    pythonpath: Sequence[str] = (),
    environ: dict[str, str] | None = None,
    patience: Patience | None = None,
    cgroup: Delegation | None = None,
    vacancy: int | None = None,
) -> Iterator[Rig]:
    """A real engine whose jobs are written in ``acts.py`` of the folder."""
    (folder / "acts.py").write_text(code)
    rig = Rig(folder)

    def make(rig: Rig) -> Engine:
        return Engine(
            loop=rig.loop,
            report=rig.facts.append,
            settings=Settings(
                environ=base_environ(os.environ if environ is None else environ),
                path=(str(folder), *pythonpath),
                preload=preload,
                nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                vacancy=vacancy,
                cgroup=cgroup,
            ),
            warn=rig.warned.append,
            patience=patience,
            stacked=lambda run_id, text: rig.stacks.append((run_id, text)),
        )

    rig.begin(make)
    try:
        yield rig
    finally:
        rig.end()


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
