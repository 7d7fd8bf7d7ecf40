"""The supervisor's side of the log process: makes pipes for runs, keeps each read end, starts a new one if it dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from supervisor.core.job import Job, LogFiles, LogMode
from supervisor.core.runs import Attempt, RunId
from supervisor.wire import Message, Wire, pair

TAIL_WITHIN = 2.0
"""Seconds to wait for the last lines of a run whose pipe has not ended."""
SPARE = 0.05
LONGEST_SPARE = 5.0
STEADY_AFTER = 10.0


@dataclass(slots=True)
class Opened:
    """The read ends of a run, until the log process has read them to their ends."""

    message: Message
    fds: dict[str, int]


class LogProcess:
    """Never blocks the loop: a log process that is slow or stopped holds up the jobs that write, and nobody else."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        log_dir: Path,
        console: bool,
        warn: Callable[[str], None],
        environ: Mapping[str, str],
    ) -> None:
        self._loop = loop
        self._log_dir = log_dir
        self._console = console
        self._warn = warn
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._opened: dict[RunId, Opened] = {}
        self._asks = count()
        self._answers: dict[int, asyncio.Future[list[str]]] = {}
        self._trouble: dict[str, str] = {}
        self._started_at = 0.0
        self._spare = SPARE
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of files that cannot be written."""
        return tuple(self._trouble.values())

    async def start(self) -> None:
        """Exec the log process."""
        self._start()

    def _start(self) -> None:
        ours, theirs = pair()
        colour = self._console and os.isatty(1) and not self._environ.get("NO_COLOR")
        mode = ["colour" if colour else "console"] if self._console else []
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "supervisor.logs.process", str(theirs.fileno()), *mode],
            cwd=Path(__file__).parents[2],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._started_at = self._loop.time()
        self._wire = Wire(ours)
        self._loop.add_reader(self._wire, self._listen, self._wire)
        for opened in self._opened.values():
            self._tell(self._reopened(opened), tuple(opened.fds.values()))

    @staticmethod
    def _reopened(opened: Opened) -> Message:
        """Return the message for a new log process: only the streams that have not ended."""
        paths = dict(zip(opened.message["streams"], opened.message["paths"], strict=True))
        streams = list(opened.fds)
        return opened.message | {"streams": streams, "paths": [paths[stream] for stream in streams]}

    # -- orders --------------------------------------------------------------------------------------------------------

    def open(self, run: Attempt, job: Job) -> tuple[int, int]:
        """Return the write ends for a run's stdout and stderr, which the caller closes.

        Raises:
            OSError: no descriptors are left; nothing is kept open.
        """
        match job.log:
            case LogMode.NULL:
                null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                return _twin(null)
            case LogMode.INHERIT:
                return _pair_or_none(lambda: os.dup(1), lambda: os.dup(2))
            case LogFiles() as files:
                return self._open_files(run, job, files)

    def _open_files(self, run: Attempt, job: Job, files: LogFiles) -> tuple[int, int]:
        label = job.name if job.instances == 1 else f"{job.name}:{run.slot.instance}"
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        if files.merge_stderr:
            try:
                ends = _twin(out_write)
            except OSError:
                os.close(out_read)
                raise
            read_ends = {"out": out_read}
        else:
            try:
                err_read, err_write = os.pipe2(os.O_CLOEXEC)
            except OSError:
                os.close(out_read)
                os.close(out_write)
                raise
            ends = (out_write, err_write)
            read_ends = {"out": out_read, "err": err_read}
        suffixes = {"out": ".log", "err": ".err.log"}
        message = {
            "order": "open",
            "run_id": run.run_id,
            "label": label,
            "streams": list(read_ends),
            "paths": [str(self._log_dir / f"{label}{suffixes[stream]}") for stream in read_ends],
            "max_size": files.max_size,
            "keep": files.keep,
            "timestamps": files.timestamps,
        }
        self._opened[run.run_id] = Opened(message, read_ends)
        self._tell(dict(message), tuple(read_ends.values()))
        return ends

    async def tail(self, run_id: RunId) -> list[str]:
        """Return the last lines of a run, once its output has ended, or what there is after two seconds."""
        answer = self._ask(run_id, now=False)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), TAIL_WITHIN)
        except TimeoutError:
            pass
        answer = self._ask(run_id, now=True)
        try:
            return await asyncio.wait_for(answer, TAIL_WITHIN)
        except TimeoutError:
            return []

    def _ask(self, run_id: RunId, *, now: bool) -> "asyncio.Future[list[str]]":
        ask = next(self._asks)
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        self._answers[ask] = answer
        self._tell({"order": "tail", "run_id": run_id, "ask": ask, "now": now})
        return answer

    def reopen(self) -> None:
        """Have every file opened anew, for a rotation from outside."""
        self._tell({"order": "reopen"})

    def _tell(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        if self._wire is None:
            return
        if not self._wire.has_waiting:
            self._loop.call_soon(self._flush, self._wire)
        self._wire.put(message, fds)

    def _flush(self, wire: Wire) -> None:
        if wire.fileno() < 0:
            return
        with suppress(ConnectionError):
            wire.flush()
        if wire.has_waiting:
            self._loop.add_writer(wire, self._flush, wire)
        else:
            self._loop.remove_writer(wire)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _listen(self, wire: Wire) -> None:
        try:
            while received := wire.receive():
                for message, _ in received:
                    self._note(message)
        except EOFError:
            self._died()

    def _note(self, message: Message) -> None:
        match message:
            case {"fact": "ended", "run_id": int(run_id), "stream": str(stream)}:
                opened = self._opened.get(run_id)
                if opened is not None and stream in opened.fds:
                    os.close(opened.fds.pop(stream))
                    if not opened.fds:
                        del self._opened[run_id]
            case {"fact": "tail", "ask": int(ask), "lines": list(lines)}:
                answer = self._answers.pop(ask, None)
                if answer is not None and not answer.done():
                    answer.set_result(lines)
            case {"fact": "trouble", "path": str(path), "dropped": int(dropped), "why": why}:
                self._note_trouble(path, dropped, why)

    def _note_trouble(self, path: str, dropped: int, why: str | None) -> None:
        before = self._trouble.get(path)
        text = f"log: {path}: {dropped} lines lost" + (f": {why}" if why else "; it is written again")
        self._trouble[path] = text
        if before is None or (why is None) != before.endswith("again"):
            self._warn(text)

    def _died(self) -> None:
        assert self._wire is not None
        self._loop.remove_reader(self._wire)
        self._loop.remove_writer(self._wire)
        self._wire.close()
        self._wire = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result([])
        self._answers.clear()
        if not self._closing:
            self._warn("the log process died; another one takes over its pipes")
            task = self._loop.create_task(self._replace())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await _ended(self._loop, self._process)
        steady = self._loop.time() - self._started_at > STEADY_AFTER
        if not steady:
            await asyncio.sleep(self._spare)
        self._spare = SPARE if steady else min(self._spare * 2, LONGEST_SPARE)
        if not self._closing:
            self._start()

    async def close(self) -> None:
        """End the log process once it has read every pipe to its end."""
        self._closing = True
        if self._wire is not None:
            self._flush(self._wire)
            self._loop.remove_reader(self._wire)
            self._loop.remove_writer(self._wire)
            self._wire.close()
            self._wire = None
        for opened in self._opened.values():
            for fd in opened.fds.values():
                os.close(fd)
        self._opened.clear()
        if self._process is not None:
            await _ended(self._loop, self._process)


def _twin(fd: int) -> tuple[int, int]:
    try:
        return fd, os.dup(fd)
    except OSError:
        os.close(fd)
        raise


def _pair_or_none(first: Callable[[], int], second: Callable[[], int]) -> tuple[int, int]:
    one = first()
    try:
        return one, second()
    except OSError:
        os.close(one)
        raise


async def _ended(loop: asyncio.AbstractEventLoop, process: "subprocess.Popen[bytes]") -> None:
    """Return when a process has ended, and reap it."""
    if process.poll() is not None:
        return
    over: asyncio.Future[None] = loop.create_future()
    pidfd = os.pidfd_open(process.pid)
    loop.add_reader(pidfd, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
    process.wait()
