"""What is said of a run, put into the facts that the core knows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from supervisor.core.events import Beat, EngineFact, Exited, Ready, Serving, Spawned, SpawnFailed, TickEnded
from supervisor.core.exits import ErrorRecord, Exit, NotStarted, Usage
from supervisor.core.runs import RunId
from supervisor.engine.failure import LONGEST_MESSAGE, LONGEST_TRACEBACK
from supervisor.wire import Message

LONGEST_NAME = 200


class Listener(Protocol):
    """Who wants to know of a process that the fork server makes: a job's run, or a probe."""

    def spawned(self, pid: int) -> None:
        """Hear that the process exists."""

    def told(self, message: Message) -> None:
        """Hear what the process says over its channel."""

    def failed(self, why: NotStarted) -> None:
        """Hear that no process came to be; nothing follows."""

    def ended(self, how: Exit, usage: Usage) -> None:
        """Hear that nothing of it is left; nothing follows."""


class RunReport:
    """Reports the facts of one run."""

    def __init__(self, run_id: RunId, report: Callable[[EngineFact], None]) -> None:
        self._run_id = run_id
        self._report = report
        self.error: ErrorRecord | None = None
        self.not_started: NotStarted | None = None
        """What explains the end, once it comes."""

    def spawned(self, pid: int) -> None:
        """Report that the process exists."""
        self._report(Spawned(self._run_id, pid))

    def failed(self, why: NotStarted) -> None:
        """Report that there is no process."""
        self._report(SpawnFailed(self._run_id, why))

    def told(self, message: Message) -> None:
        """Report what a job has said, or a Worker done; keep what explains the end until it comes."""
        match message:
            case {"kind": "serving"}:
                self._report(Serving(self._run_id))
            case {"kind": "ready"}:
                self._report(Ready(self._run_id))
            case {"kind": "heartbeat"}:
                self._report(Beat(self._run_id))
            case {"kind": "ticked", "tick_id": int(tick_id), "duration": float(took), "cpu": float(cpu)}:
                self._report(
                    TickEnded(
                        run_id=self._run_id,
                        tick_id=tick_id,
                        duration=timedelta(seconds=took),
                        cpu=timedelta(seconds=cpu),
                        error=_error(message.get("error")),
                    )
                )
            case {"kind": "error"}:
                self.error = _error(message)
            case {"kind": "start_failed", "step": str(step), "errno": int(number), "text": str(text)}:
                self.not_started = NotStarted(step, number, text)

    def ended(self, how: Exit, usage: Usage) -> None:
        """Report the end, with what the process said of it."""
        self._report(Exited(run_id=self._run_id, ended=self.not_started or how, usage=usage, error=self.error))


class Nobody:
    """Hears of a process that nobody asks for any more."""

    def spawned(self, pid: int) -> None:
        """Nothing follows."""

    def told(self, message: Message) -> None:
        """Nothing follows."""

    def failed(self, why: NotStarted) -> None:
        """Nothing follows."""

    def ended(self, how: Exit, usage: Usage) -> None:
        """Nothing follows."""


def _error(told: Any) -> ErrorRecord | None:
    match told:
        case {
            "type": str(name),
            "message": str(text),
            "traceback": str(trace),
            "file": str() | None as file,
            "line": int() | None as line,
        }:
            return ErrorRecord(
                type=name[:LONGEST_NAME],
                message=text[:LONGEST_MESSAGE],
                file=file,
                line=line,
                traceback=trace[-LONGEST_TRACEBACK:],
            )
    return None
