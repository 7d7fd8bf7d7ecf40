"""Who looks at which run: until it is ready, then at its health until it ends or is stopped."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol

from supervisor.checks.endpoints import BadAnswerError, Resolver, look_at_http, look_at_https, look_at_tcp
from supervisor.core.checks import CommandProbe, HttpProbe, Probe, TcpProbe
from supervisor.core.durations import format_duration
from supervisor.core.events import Checked, Ready
from supervisor.core.job import Job
from supervisor.core.runs import Attempt, RunId

FIRST_AGAIN = 0.05
"""Seconds after a first look at a run that is not ready yet; each further wait is half as long again."""
LONGEST_AGAIN = 1.0
PATIENCE = timedelta(seconds=2)
"""The longest look for readiness; health says its own."""


class RunCommand(Protocol):
    """Runs a program as a job's, and tells what is wrong with how it ended; the call returned ends it early."""

    def __call__(
        self, run: Attempt, job: Job, argv: tuple[str, ...], done: Callable[[str | None], None]
    ) -> Callable[[], None]:
        """Begin."""


class Checks:
    """The looks that are under way: one a run, each begun when the last one is over."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        run_command: RunCommand,
        report: Callable[[Ready | Checked], None],
    ) -> None:
        self._loop = loop
        self._run_command = run_command
        self._report = report
        self._resolver = Resolver(loop)
        self._tasks: dict[RunId, asyncio.Task[None]] = {}

    def probe(self, run: Attempt, job: Job) -> None:
        """Look whether a run is ready until it is, where its job is looked at at all."""
        ready = job.supervision.ready
        if isinstance(ready, HttpProbe | TcpProbe | CommandProbe):
            self._begin(run.run_id, self._until_ready(run, job, ready))

    def watch(self, run: Attempt, job: Job) -> None:
        """Look at the health of a run again and again."""
        if job.supervision.health is not None:
            self._begin(run.run_id, self._again_and_again(run, job))

    def end(self, run_id: RunId) -> None:
        """Look no more."""
        task = self._tasks.pop(run_id, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End every look."""
        tasks = list(self._tasks.values())
        for run_id in list(self._tasks):
            self.end(run_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, run_id: RunId, work: Coroutine[Any, Any, None]) -> None:
        self.end(run_id)
        self._tasks[run_id] = self._loop.create_task(work)

    async def _until_ready(self, run: Attempt, job: Job, probe: Probe) -> None:
        wait = FIRST_AGAIN
        while await self._look(run, job, probe, PATIENCE) is not None:
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_AGAIN)
        self._report(Ready(run.run_id))

    async def _again_and_again(self, run: Attempt, job: Job) -> None:
        health = job.supervision.health
        assert health is not None
        every = health.every.total_seconds()
        begin = self._loop.time() + every
        while True:
            await asyncio.sleep(max(0.0, begin - self._loop.time()))
            begin = self._loop.time() + every
            self._report(Checked(run.run_id, await self._look(run, job, health.probe, health.timeout)))

    async def _look(self, run: Attempt, job: Job, probe: Probe, patience: timedelta) -> str | None:
        """Return what is wrong, or None."""
        try:
            async with asyncio.timeout(patience.total_seconds()):
                match probe:
                    case HttpProbe(parts=(host, port, path), is_secure=True):
                        await look_at_https(self._resolver, host, port, path, patience.total_seconds())
                    case HttpProbe(parts=(host, port, path)):
                        await look_at_http(self._resolver, host, port, path)
                    case TcpProbe(parts=(host, port)):
                        await look_at_tcp(self._resolver, host, port)
                    case CommandProbe(command=argv):
                        return await self._command(run, job, argv)
        except TimeoutError:
            return f"{_name(probe)}: no answer within {format_duration(patience)}"
        except OSError as error:
            return f"{_name(probe)}: {error.strerror or error}"
        except BadAnswerError as error:
            return f"{_name(probe)}: {error}"
        return None

    async def _command(self, run: Attempt, job: Job, argv: tuple[str, ...]) -> str | None:
        """Return what is wrong with how a program ended; one that takes too long is gone before the next look."""
        ended: asyncio.Future[str | None] = self._loop.create_future()
        kill = self._run_command(run, job, argv, ended.set_result)
        try:
            problem = await asyncio.shield(ended)
        except asyncio.CancelledError:
            kill()
            await asyncio.shield(ended)
            raise
        return f"{argv[0]}: {problem}" if problem is not None else None


def _name(probe: Probe) -> str:
    match probe:
        case HttpProbe(http=url):
            return url
        case TcpProbe(tcp=endpoint):
            return endpoint
        case CommandProbe(command=argv):
            return argv[0]
