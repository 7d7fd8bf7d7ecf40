"""What the record of a run gets of its output: last lines of one that failed, stacks of one that was too slow."""

import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from supervisor.core.effects import Change
from supervisor.core.runs import Dumped, Printed, RunId
from supervisor.core.states import process_of
from supervisor.engine.redaction import redacted
from supervisor.handover import Awaited
from supervisor.history.thread import History
from supervisor.logs.client import LogProcess


class LastWords:
    """Those that are still to come are known, so that an exec loses none."""

    def __init__(
        self,
        logs: LogProcess,
        history: History,
        runs_of: Callable[[RunId], Iterable[RunId]],
        in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """``runs_of`` returns the runs that are in progress in the process of a run."""
        self._logs = logs
        self._history = history
        self._runs_of = runs_of
        self._in_background = in_background
        self._awaited: dict[RunId, Awaited] = {}

    @property
    def awaited(self) -> tuple[Awaited, ...]:
        """What is still to come."""
        return tuple(self._awaited.values())

    def notice(self, change: Change) -> None:
        """Have the last lines of a failed run put into its record; a Worker's tick prints through its process."""
        row = change.ended
        if row is not None and row.outcome.is_failure:
            process = process_of(change.before.state)
            printed_by = process.run.run_id if process else row.run.run_id
            self.keep(Awaited(run_id=row.run.run_id, printed_by=printed_by, job=change.before.job))

    def keep(self, awaited: Awaited) -> None:
        """Have last lines put into a record."""
        self._awaited[awaited.run_id] = awaited
        self._in_background(self._keep(awaited))

    async def _keep(self, awaited: Awaited) -> None:
        """Put the last lines of output into a record, without the secrets of the job's environment."""
        lines = await self._logs.tail(awaited.printed_by)
        if lines:
            environ = {**os.environ, **awaited.job.process.env}
            kept = tuple(redacted(line, environ) for line in lines)
            self._history.keep([Printed(run_id=awaited.run_id, lines=kept)])
        del self._awaited[awaited.run_id]

    def keep_stack(self, run_id: RunId, text: str) -> None:
        """Put the stacks of a process that takes too long into its log and the records of the runs it has."""
        self._logs.write(run_id, f"jobvisor: run {run_id} takes too long; its stacks before it is stopped:\n{text}")
        self._history.keep([Dumped(run_id=each, stack=text) for each in self._runs_of(run_id)])
