"""The supervisor's side of the log process: makes the pipes of a run, hands over their read ends, hears how they fare.

A copy of each read end stays here until its end has been reached, so a log process that dies loses no pipe: the next
one is given them all, and no job gets SIGPIPE. Nothing here waits for the log process or for a disk.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from supervisor.core.job import Job
from supervisor.core.runs import Attempt, RunId
from supervisor.handed import HandedHelper, hand_over, helper, take_over
from supervisor.helpers import Helper, Pacing, Standby
from supervisor.logs import launch, ledger
from supervisor.logs.condition import Condition
from supervisor.logs.outputs import HandedOutputs, OpenRun, Outputs
from supervisor.plain import Fd
from supervisor.values import dataclass
from supervisor.wire import Message, Wire

END_WITHIN = timedelta(milliseconds=500)
"""How long ``tail`` waits for the end of a run's output: something that the run has left behind may hold the pipe."""
ANSWER_WITHIN = timedelta(seconds=2)
CLOSE_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedLogs:
    """What of the log process crosses an exec: all but the answers that somebody waits for, who is gone then."""

    helper: HandedHelper
    started_at: float
    """On the loop's clock, CLOCK_MONOTONIC."""
    next_ask: int
    outputs: HandedOutputs
    ledger: Fd


class LogProcess:
    """The log process, replaced whenever it dies."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        log_dir: Path,
        console: bool,
        warn: Callable[[str], None],
        environ: Mapping[str, str],
        matched: Callable[[RunId], None],
        standby: Standby | None = None,
    ) -> None:
        """Take the settings of the log processes; ``standby`` may have the first one.

        ``matched`` is told of each run whose output has said that it is ready.
        """
        self._matched = matched
        self._loop = loop
        self._console = console
        self._warn = warn
        self._environ = environ
        self._standby = standby
        self._outputs = Outputs(log_dir)
        self._ledger: int | None = None
        """What a log process leaves to the next one."""
        self._asks = itertools.count(1)
        self._tails: dict[int, asyncio.Future[list[str]]] = {}
        self._condition = Condition(warn)
        self._overdue: asyncio.TimerHandle | None = None
        """Set while an answer to ``check`` is awaited."""
        self._helper: Helper | None = None
        self._pidfd = -1
        self._wire: Wire | None = None
        self._started_at = 0.0
        self._pacing = Pacing()
        self._respawn: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    @property
    def pid(self) -> int | None:
        """The log process's pid, for information; None while there is none."""
        return self._helper.process.pid if self._helper is not None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of output that is lost, or was in danger lately; a line each."""
        return self._condition.lines(self._outputs.written)

    # -- over an exec --------------------------------------------------------------------------------------------------

    @property
    def is_steady(self) -> bool:
        """True while there is a log process."""
        return self._wire is not None

    def hand_over(self) -> HandedLogs:
        """Return the log process and every pipe that has not ended."""
        assert self._helper is not None
        assert self._wire is not None
        assert self._ledger is not None
        ask = next(self._asks)
        self._asks = itertools.count(ask)
        return HandedLogs(
            helper=HandedHelper(pid=self._helper.process.pid, wire=hand_over(self._wire)),
            started_at=self._started_at,
            next_ask=ask,
            outputs=self._outputs.hand_over(),
            ledger=Fd(self._ledger),
        )

    def take_over(self, handed: HandedLogs) -> None:
        """Go on with what crossed an exec, in the place of ``start``."""
        self._asks = itertools.count(handed.next_ask)
        self._outputs.take_over(handed.outputs)
        self._ledger = handed.ledger
        self._started_at = handed.started_at
        self._serve(helper(handed.helper))
        assert self._wire is not None
        take_over(handed.helper.wire, self._wire)
        self._loop.call_soon(self._flush, self._wire)

    # -- orders --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Exec the log process. Runs can be opened at once; where it cannot be started it is tried again."""
        self._start_process()

    def open(self, run: Attempt, job: Job) -> tuple[int, int]:
        """Return the stdout and stderr for a run's process; the caller closes them.

        Raises:
            OSError: there are no descriptors left, or ours are closed; nothing has been opened.
        """
        with ExitStack() as undo:
            stdout, stderr = self._outputs.ends(run, job, undo)
            if run.run_id in self._outputs.runs:
                self._tell_of(self._outputs.runs[run.run_id])
            undo.pop_all()
        return stdout, stderr

    async def tail(self, run_id: RunId) -> list[str]:
        """Return the last lines of a run, at most 50, those of its end where it has ended.

        None are known any more where the log process has been replaced since, or where a later run of the same slot
        has ended; and none are returned where the log process does not answer.
        """
        opened = self._outputs.runs.get(run_id)
        if opened is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN.total_seconds()):
                    await opened.ended.wait()
        if self._wire is None:
            return []
        ask = next(self._asks)
        answer: asyncio.Future[list[str]] = self._loop.create_future()
        self._tails[ask] = answer
        self._tell({"order": "tail", "ask": ask, "run_id": run_id})
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await answer
        except TimeoutError:
            return []
        finally:
            self._tails.pop(ask, None)

    def write(self, run_id: RunId, text: str) -> None:
        """Put whole lines of our own between those of a living run, where they go to a file of its own."""
        if run_id in self._outputs.runs:
            self._tell({"order": "write", "run_id": run_id, "text": text})

    def check(self) -> None:
        """Have the log process say that it still serves; one that somebody has stopped is continued, and it is said."""
        if self._wire is not None and self._overdue is None:
            self._tell({"order": "ping"})
            self._overdue = self._loop.call_later(ANSWER_WITHIN.total_seconds(), self._is_overdue)

    def _is_overdue(self) -> None:
        self._condition.is_silent(ANSWER_WITHIN)
        with suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)

    def _is_heard(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        self._condition.is_heard()

    def reopen(self) -> None:
        """Have every file that somebody has moved away opened anew."""
        self._tell({"order": "reopen"})

    async def close(self) -> None:
        """Have the pipes drained and wait for the end of the log process, but not for a disk that does not write.

        Every job has ended by now: a pipe that is still open when it has been emptied is held by a process that
        escaped from its job, and is given up.
        """
        self._closed = asyncio.Event()
        if self._respawn is not None:
            self._respawn.cancel()
            if self._outputs.runs:
                self._start_process()
        self._tell({"order": "finish"})
        if self._helper is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN.total_seconds()):
                    await self._closed.wait()
        self._drop_wire()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._outputs.close()
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None

    def _tell(self, message: Message, *fds: int, lent: bool = False) -> None:
        """Tell the log process; where there is none, the next one is told what matters by ``_start_process``."""
        if self._wire is None:
            return
        if not self._wire.has_waiting:
            self._loop.call_soon(self._flush, self._wire)
        self._wire.put(message, fds, lent=lent)

    def _tell_of(self, run: OpenRun) -> None:
        for order, fd in run.orders():
            self._tell(order, fd)

    def _flush(self, wire: Wire) -> None:
        """Send what waits; the end of a process that is gone is told by its pidfd."""
        if wire.fileno() < 0:
            return
        with suppress(ConnectionError):
            wire.flush()
            if wire.has_waiting:
                self._loop.add_writer(wire, self._flush, wire)
                return
        self._loop.remove_writer(wire)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _listen(self, wire: Wire) -> None:
        try:
            while received := wire.receive():
                for fact, _ in received:
                    self._note(fact)
        except EOFError:
            self._loop.remove_reader(wire)

    def _note(self, fact: Message) -> None:
        match fact:
            case {"fact": "ended", "run_id": run_id, "pipe": number} if run_id in self._outputs.runs:
                self._outputs.end(run_id, number)
            case {"fact": "matched", "run_id": run_id}:
                self._matched(run_id)
            case {"fact": "tail", "ask": ask, "lines": lines} if ask in self._tails:
                if not self._tails[ask].done():
                    self._tails[ask].set_result(lines)
            case {"fact": "pong"}:
                self._is_heard()
            case {"fact": "trouble", "path": path, "label": label, "error": str(error)}:
                self._condition.fails(path, label, error, fact["lines"], fact["since"], self._outputs.written)
            case {"fact": "trouble", "path": path, "error": None}:
                self._condition.is_well(path)

    # -- the process ---------------------------------------------------------------------------------------------------

    def _start_process(self) -> None:
        """Exec a log process and give it every pipe that has not ended."""
        self._respawn = None
        self._started_at = self._loop.time()
        try:
            self._exec()
        except OSError as error:
            self._warn(f"log: cannot start the log process: {error.strerror or error}; the output of jobs waits")
            self._start_again()
            return
        if self._console:
            self._tell({"order": "console", "colour": not self._environ.get("NO_COLOR")})
        for run in self._outputs.runs.values():
            self._tell_of(run)
        self._tell({"order": "begin"})

    def _exec(self) -> None:
        made = self._standby.take() if self._standby is not None else None
        if made is None:
            made = launch.start(self._environ, console=self._console)
        try:
            if self._ledger is None:
                self._ledger = ledger.made()
            self._serve(made)
        except OSError:
            made.give_up()
            raise
        self._tell({"order": "ledger"}, self._ledger, lent=True)

    def _serve(self, process: Helper) -> None:
        """Listen to a log process.

        Raises:
            OSError: there are no descriptors left.
        """
        self._pidfd = os.pidfd_open(process.process.pid)
        self._helper = process
        self._loop.add_reader(self._pidfd, self._died, process)
        self._wire = Wire(process.sock)
        self._loop.add_reader(self._wire, self._listen, self._wire)

    def _died(self, process: Helper) -> None:
        """Reap a log process; unless it was asked to finish, start another."""
        if self._wire is not None:
            self._listen(self._wire)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        status = process.process.wait()
        self._helper = None
        self._drop_wire()
        if self._closed is not None:
            self._closed.set()
            return
        how = signal.Signals(-status).name if status < 0 else f"exit {status}"
        self._condition.has_died(how, len(self._outputs.runs))
        self._start_again()

    def _drop_wire(self) -> None:
        if self._wire is None:
            return
        self._loop.remove_reader(self._wire)
        self._loop.remove_writer(self._wire)
        self._wire.close()
        self._wire = None
        self._condition.begin_anew()
        if self._overdue is not None:
            self._overdue.cancel()
        self._overdue = None
        for answer in self._tails.values():
            if not answer.done():
                answer.set_result([])

    def _start_again(self) -> None:
        """Start the next log process: at once after a steady one, later after each that was not."""
        if self._closed is not None:
            return
        pause = self._pacing.after(self._loop.time() - self._started_at)
        self._respawn = self._loop.call_later(pause, self._start_process)
