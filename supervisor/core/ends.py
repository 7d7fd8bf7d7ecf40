"""How a process has ended, and what that is worth: its outcome, the row that is kept of it, and what people read."""

from supervisor.core.durations import format_duration
from supervisor.core.events import Cause, Exited, SpawnFailed
from supervisor.core.exits import (
    NO_USAGE,
    Code,
    ErrorRecord,
    Exit,
    Lost,
    NotStarted,
    Signalled,
    SuccessExit,
    Usage,
    describe,
    is_clean,
)
from supervisor.core.instants import ZERO, Now
from supervisor.core.runs import Attempt, Closed, Outcome
from supervisor.core.states import Process
from supervisor.values import dataclass

ASKED = frozenset(
    {
        Cause.STOP,
        Cause.RESTART,
        Cause.RELOAD,
        Cause.REMOVED,
        Cause.SHUTDOWN,
        Cause.REPLACED,
        Cause.GROUP,
        Cause.MAX_AGE,
    }
)
"""The causes whose ends are never judged by their exit code."""


NOT_READY = "ended before it was ready"
_BROKEN = frozenset({Cause.MEMORY, Cause.UNHEALTHY})
"""The causes of stops that are failures, and no time-outs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a process, judged, with the time at which it was seen."""

    process: Process
    exit: Exit
    outcome: Outcome
    cause: Cause | None
    now: Now
    usage: Usage = NO_USAGE
    error: ErrorRecord | None = None
    is_early: bool = False
    """A clean end, but before the job was ready."""

    def row(self, run: Attempt, since: Now, *, final: bool = True) -> Closed:
        """Return the row of a run that ended with the process."""
        tells_more = isinstance(self.exit, NotStarted | Lost) or self.outcome is Outcome.FAILED
        said = describe(self.exit) if tells_more and not isinstance(self.exit, Code) else None
        return Closed(
            run=run,
            started_at=since.wall,
            ended_at=self.now.wall,
            duration=self.now.mono - since.mono,
            outcome=self.outcome,
            final=final,
            exit_code=self.exit.code if isinstance(self.exit, Code) else None,
            signal=self._signal(),
            usage=self.usage,
            reason=self._reason() or said,
            error=self.error,
        )

    def _signal(self) -> int | None:
        """Return the signal that ended the process, or the one that it answered by an exit code of its own."""
        match self.exit:
            case Signalled(signal=number):
                return number
            case Code() if self.cause is not None and self.outcome.is_failure:
                rules = self.process.job.supervision
                return rules.stop_signal if rules.stop_timeout != ZERO else None
        return None

    def _reason(self) -> str | None:
        """Return why the process was stopped, or why its end is a failure that does not look like one."""
        match self.cause:
            case Cause.UNHEALTHY:
                return f"unhealthy: {self.process.sick}"
            case Cause.HUNG:
                return f"hung: no heartbeat for {format_duration(self.process.job.supervision.heartbeat or ZERO)}"
            case Cause.START_TIMEOUT:
                waited = self.process.job.supervision.start_timeout or ZERO
                return f"start_timeout: not ready within {format_duration(waited)}"
            case Cause():
                return self.cause.value
        return NOT_READY if self.is_early else None


def judged(process: Process, event: Exited | SpawnFailed, cause: Cause | None, now: Now) -> End:
    """Return the end of a process, ``cause`` being that of the stop that was asked for before."""
    usage, error = (event.usage, event.error) if isinstance(event, Exited) else (NO_USAGE, None)
    rules, lives_on = process.job.supervision, process.run.due_at is None
    outcome = judge(event.ended, cause, rules.success_exit)
    is_early = lives_on and outcome is Outcome.OK and rules.ready is not None and process.up_since is None
    return End(
        process=process,
        exit=event.ended,
        outcome=Outcome.FAILED if is_early else outcome,
        cause=cause,
        now=now,
        usage=usage,
        error=error,
        is_early=is_early,
    )


def judge(end: Exit, cause: Cause | None, success: SuccessExit) -> Outcome:
    """Return the outcome of an end; one that we asked for is ``stopped`` however it looks."""
    if cause in ASKED:
        return Outcome.STOPPED
    if cause in _BROKEN:
        return Outcome.FAILED
    if cause is not None:
        return Outcome.TIMEOUT
    if is_clean(end, success):
        return Outcome.OK
    match end:
        case Lost():
            return Outcome.LOST
        case Signalled(was_oom_killed=False):
            return Outcome.KILLED
    return Outcome.FAILED


def phrase(row: Closed, end: Exit) -> str:
    """Return how a run ended in a few words, for the reason behind a state."""
    if row.reason is not None and (row.outcome is Outcome.TIMEOUT or row.reason.startswith(_TELLING)):
        return row.reason
    return row.error.brief if row.error is not None else describe(end)


_TELLING = (*(cause.value for cause in _BROKEN), NOT_READY)
"""The beginnings of reasons that say more than the exit does."""
