"""A log process under a client, and writers for it: real processes, pipes and files."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec

from supervisor.core.job import Command, Job, LogFiles, LogMode, Supervision
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.logs.client import LogProcess

PLAIN = LogFiles(timestamps=False)


def job(name: str = "web", log: LogFiles | LogMode = PLAIN, *, instances: int = 1, stop_timeout: float = 0) -> Job:
    return Job(
        name=name,
        target=Command(argv=("true",)),
        log=log,
        instances=instances,
        supervision=Supervision(stop_timeout=timedelta(seconds=stop_timeout)),
    )


def attempt(run_id: int, name: str = "web", instance: int = 1, lane: int = 0) -> Attempt:
    return Attempt(run_id=run_id, slot=SlotId(name, instance, lane), trigger=Trigger.START)


class Stage:
    """A client with its log process."""

    def __init__(self, logs: LogProcess, log_dir: Path, warned: list[str]) -> None:
        self.logs = logs
        self.log_dir = log_dir
        self.warned = warned
        self._run_ids = iter(range(1, 1_000_000))

    def open(self, job: Job, *, instance: int = 1, lane: int = 0) -> tuple[int, int, int]:
        """Return a run id, stdout and stderr."""
        run_id = next(self._run_ids)
        return run_id, *self.logs.open(attempt(run_id, job.name, instance, lane), job)

    def run(self, job: Job, program: str, *args: str) -> tuple[int, subprocess.Popen[bytes]]:
        """Start a Python program as a run of the job, as the engine would."""
        run_id, out, err = self.open(job)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", program, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        os.close(out)
        os.close(err)
        return run_id, process

    def write(self, job: Job, *pieces: bytes, instance: int = 1) -> int:
        """Write as a run of the job whose stdout then ends; return the run id. Few bytes: nobody may read yet."""
        run_id, out, err = self.open(job, instance=instance)
        for piece in pieces:
            os.write(out, piece)
        os.close(out)
        os.close(err)
        return run_id

    async def kill_log_process(self) -> None:
        """Kill the log process and wait until the client knows; the next one may have been started by then."""
        await self.eventually(lambda: self.logs.pid)
        pid = self.logs.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self.eventually(lambda: self.logs.pid != pid)

    def text(self, name: str = "web.log") -> str:
        path = self.log_dir / name
        return path.read_text() if path.exists() else ""

    async def eventually(self, condition: Callable[[], object], *, within: float = 60.0) -> None:
        """Wait until a condition holds while the client's loop goes on."""
        give_up_at = asyncio.get_running_loop().time() + within
        while not condition():
            assert asyncio.get_running_loop().time() < give_up_at, f"never within {within} s: {self.warned}"
            await asyncio.sleep(0.005)


@asynccontextmanager
async def stage(
    log_dir: Path, *, console: bool = False, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Stage]:
    warned: list[str] = []
    logs = LogProcess(
        loop=asyncio.get_running_loop(),
        log_dir=log_dir,
        matched=lambda _: None,
        console=console,
        warn=warned.append,
        environ=os.environ if environ is None else environ,
    )
    await logs.start()
    try:
        yield Stage(logs, log_dir, warned)
    finally:
        await logs.close()


def numbered(path: Path) -> list[str]:
    """Return the lines of a file and those it was rotated from, oldest first."""
    files = sorted(path.parent.glob(f"{path.name}.*"), key=lambda each: -int(each.suffix[1:]))
    return [line for each in [*files, path] if each.exists() for line in each.read_text().splitlines()]


def end(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


P = ParamSpec("P")


def on_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test that awaits on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
