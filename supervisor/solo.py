"""One run of a job in the foreground: a process as under supervision, on this terminal, and nobody who restarts it."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from supervisor import clock
from supervisor.checkpoints import Checkpoints
from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.events import Cause, EngineFact, Exited, MemoryExceeded, Serving, SpawnFailed, TickEnded
from supervisor.core.exits import Code, Exit, Lost, NotStarted, Signalled, describe
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.engine.briefing import Settings, base_environ
from supervisor.engine.engine import Engine, Output

RUN_ID = 0
"""Of a run that no history records."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run(manifest: Manifest, job: Job, instance: int, environ: Mapping[str, str]) -> int:
    """Run a job once and return its exit code, 128 + n where signal n ended it; 1 where it could not be started.

    A Worker with a schedule gets one ``tick()`` and is stopped; one without lives until it is interrupted.
    """
    return asyncio.run(_run(manifest, job, instance, environ))


async def _run(manifest: Manifest, job: Job, instance: int, environ: Mapping[str, str]) -> int:
    solo = Solo(manifest, job, instance, environ)
    try:
        return await solo.run()
    finally:
        await solo.close()


class Solo:
    """A run, its engine, and the signals that are passed on to it."""

    def __init__(self, manifest: Manifest, job: Job, instance: int, environ: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._job = job
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        self._has_ticked = False
        """A tick was well: however the process is ended now, the run was."""
        self._interrupts = 0
        due_at = clock.now().wall if job.schedule is not None else None
        self._attempt = Attempt(run_id=RUN_ID, slot=SlotId(job.name, instance), trigger=Trigger.MANUAL, due_at=due_at)
        self._checkpoints = Checkpoints(Path(manifest.settings.state_dir))
        self._engine = Engine(
            loop=self._loop,
            report=self._take,
            settings=Settings(
                environ=base_environ(environ),
                path=manifest.python_path,
                preload=(),
                nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            ),
            warn=_say,
            checkpointed=self._checkpoints.ask,
        )

    async def run(self) -> int:
        """Return the exit code once nothing of the run is left."""
        for number in PASSED_ON:
            self._loop.add_signal_handler(number, self._pass_on, number)
        await self._engine.start()
        self._engine.spawn(Spawn(self._attempt, self._job), Output(os.dup(1), os.dup(2)))
        return self._code(await self._ended)

    async def close(self) -> None:
        """End what is left, as after an error of our own."""
        await self._engine.close()
        self._checkpoints.close()

    def _take(self, fact: EngineFact) -> None:
        match fact:
            case Serving() if self._job.schedule is not None:
                self._engine.tick(Tick(RUN_ID, self._attempt))
            case TickEnded(error=None):
                self._has_ticked = True
                self._stop(self._job.supervision.stop_signal)
            case MemoryExceeded():
                _say(f"{self._job.name}: over limits.memory; it is ended")
                self._engine.kill(RUN_ID)
            case SpawnFailed(ended=ended) | Exited(ended=ended):
                self._ended.set_result(ended)

    def _pass_on(self, number: int) -> None:
        """Let a signal reach the run as from a terminal; a Worker is told that it is a stop. The second one kills."""
        self._interrupts += 1
        if self._interrupts > 1:
            self._engine.kill(RUN_ID)
        else:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self._engine.stop(Stop(RUN_ID, number, Cause.STOP))

    def _code(self, ended: Exit) -> int:
        match ended:
            case Signalled() if self._has_ticked and not self._interrupts:
                return 0
            case Code(code=code):
                return code
            case Signalled(signal=number):
                return 128 + number
            case NotStarted() | Lost():
                _say(f"{self._job.name}: {describe(ended)}")
        return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # beside the run's own output, on the same terminal
