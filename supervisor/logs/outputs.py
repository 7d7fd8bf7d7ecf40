"""The pipes of runs: where the lines of each go, and our copies of their read ends until their end has been reached."""

import asyncio
import itertools
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from supervisor import journal
from supervisor.core.checks import LogMatch
from supervisor.core.job import Job, LogFiles, LogMode
from supervisor.core.runs import Attempt, RunId
from supervisor.logs.names import file_name
from supervisor.logs.seats import Seats
from supervisor.plain import Fd
from supervisor.values import dataclass, field
from supervisor.wire import Message

GRACE = timedelta(seconds=10)
"""After ``stop_timeout``, counted from the supervisor's death: then whoever holds a pipe has escaped from its job."""

COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)
"""SGR foregrounds, those that are easy to tell apart first."""


@dataclass(slots=True)
class OpenRun:
    """A run of which at least one pipe has not ended."""

    settings: Message
    pipes: dict[int, tuple[Message, int]]
    """By number: where its lines go, and our copy of the read end."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def orders(self) -> Iterator[tuple[Message, int]]:
        """Yield what the log process is told of each pipe, with the read end."""
        for number, (destination, fd) in self.pipes.items():
            yield {**self.settings, "pipe": number, **destination}, fd


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOutput:
    """What of a run's output crosses an exec."""

    run_id: RunId
    settings: Any
    pipes: tuple[tuple[int, Any, Fd], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOutputs:
    """What of all of them does."""

    next_pipe: int
    runs: tuple[HandedOutput, ...]


class Outputs:
    """The runs of which at least one pipe has not ended, by id."""

    def __init__(self, log_dir: Path) -> None:
        """Take the folder of the files."""
        self._log_dir = log_dir.absolute()
        self._numbers = itertools.count(1)
        self._seats = Seats()
        self.runs: dict[RunId, OpenRun] = {}

    @property
    def written(self) -> set[str]:
        """The files that living runs write to."""
        return {destination["path"] for run in self.runs.values() for destination, _ in run.pipes.values()}

    def hand_over(self) -> HandedOutputs:
        """Return every pipe that has not ended."""
        number = next(self._numbers)
        self._numbers = itertools.count(number)
        runs = (
            HandedOutput(
                run_id=run_id,
                settings=run.settings,
                pipes=tuple((number, destination, Fd(fd)) for number, (destination, fd) in run.pipes.items()),
            )
            for run_id, run in self.runs.items()
        )
        return HandedOutputs(next_pipe=number, runs=tuple(runs))

    def take_over(self, handed: HandedOutputs) -> None:
        """Go on with what crossed an exec."""
        self._numbers = itertools.count(handed.next_pipe)
        self.runs = {
            run.run_id: OpenRun(run.settings, {number: (destination, fd) for number, destination, fd in run.pipes})
            for run in handed.runs
        }
        self._seats = Seats(
            destination["account"] for run in self.runs.values() for destination, _ in run.pipes.values()
        )

    def ends(self, run: Attempt, job: Job, undo: ExitStack) -> list[int]:
        """Return the stdout and stderr for a run's process; ``undo`` closes them.

        Raises:
            OSError: there are no descriptors left, or ours are closed.
        """
        match job.log:
            case LogMode.NULL:
                return [_kept(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), undo) for _ in range(2)]
            case LogMode.INHERIT:
                return [_kept(os.dup(fd), undo) for fd in (1, 2)]
            case LogMode.JOURNAL:
                return self._open_pipes(run, job, _entries(run, job), undo)
            case LogFiles() as files:
                return self._open_pipes(run, job, self._paths(run, job, files), undo)

    def _paths(self, run: Attempt, job: Job, files: LogFiles) -> list[Message]:
        label = job.label(run.slot.instance)
        names = [file_name(label)] if files.merge_stderr else [file_name(label), file_name(label, "err")]
        how = {"max_size": files.max_size, "keep": files.keep, "timestamps": files.timestamps}
        return [{"path": str(self._log_dir / name), **how} for name in names]

    def _open_pipes(self, run: Attempt, job: Job, destinations: list[Message], undo: ExitStack) -> list[int]:
        pipes: dict[int, tuple[Message, int]] = {}
        ends: list[int] = []
        for destination in destinations:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            seat = self._seats.take()
            undo.callback(self._seats.free, seat)
            pipes[next(self._numbers)] = ({**destination, "account": seat}, _kept(read_end, undo))
            ends.append(_kept(write_end, undo))
            os.set_blocking(read_end, False)
        if len(ends) == 1:
            ends.append(_kept(os.dup(ends[0]), undo))
        opened = OpenRun(_settings(run, job), pipes)
        self.runs[run.run_id] = opened
        undo.callback(self.runs.pop, run.run_id)
        return ends

    def end(self, run_id: RunId, number: int) -> None:
        """Let go of a pipe that has been read to its end."""
        run = self.runs[run_id]
        destination, fd = run.pipes.pop(number)
        os.close(fd)
        self._seats.free(destination["account"])
        if not run.pipes:
            del self.runs[run_id]
            run.ended.set()

    def close(self) -> None:
        """Let go of every pipe."""
        for run in self.runs.values():
            for _, fd in run.pipes.values():
                os.close(fd)
        self.runs.clear()


def _settings(run: Attempt, job: Job) -> Message:
    label = job.label(run.slot.instance)
    stop_timeout, ready = job.supervision.stop_timeout, job.supervision.ready
    return {
        "order": "open",
        "ready": ready.log if isinstance(ready, LogMatch) and run.due_at is None else None,
        "run_id": run.run_id,
        "slot": f"{run.slot.job}:{run.slot.instance}:{run.slot.lane}",
        "label": label,
        "colour": COLOURS[zlib.crc32(label.encode()) % len(COLOURS)],
        "grace": None if stop_timeout is None else (stop_timeout + GRACE).total_seconds(),
    }


def _entries(run: Attempt, job: Job) -> list[Message]:
    """Return where the lines of stdout and stderr go: the journal, with fields that say whose they are."""
    fields = {
        "JOBVISOR_JOB": job.name,
        "JOBVISOR_INSTANCE": str(run.slot.instance),
        "JOBVISOR_RUN_ID": str(run.run_id),
        "JOBVISOR_ATTEMPT": str(run.attempt),
    }
    path = f"journal:{job.label(run.slot.instance)}"
    return [{"path": path, "fields": fields, "priority": priority} for priority in (journal.INFO, journal.WARNING)]


def _kept(fd: int, undo: ExitStack) -> int:
    """Return the descriptor, which is closed where a later one cannot be had."""
    undo.callback(os.close, fd)
    return fd
