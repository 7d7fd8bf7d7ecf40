"""Where a slot stands. Each state carries exactly what is known in it, its deadline included."""

from datetime import datetime
from enum import StrEnum

from supervisor.core.events import Cause
from supervisor.core.instants import Mono, Now
from supervisor.core.job import Job
from supervisor.core.runs import Attempt, Trigger
from supervisor.values import dataclass


class Wanted(StrEnum):
    """What people want of a slot; what it is stands in its state."""

    UP = "up"
    HELD = "held"
    """Stopped by hand, until started by hand."""
    ENDING = "ending"
    """The whole supervisor stops."""
    REMOVED = "removed"
    """No longer in the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that was ordered, and the job as it was then: a reload does not reach into a run."""

    run: Attempt
    job: Job
    began: Now
    pid: int | None = None
    deadline_at: Mono | None = None
    """End of the time that all attempts of the due time have together."""
    up_since: Mono | None = None
    """When it was ready."""
    beat_by: Mono | None = None
    """Without a heartbeat until then it is hung."""
    well_at: Mono | None = None
    """When it has run well for long enough to end its streak of restarts."""
    old_at: Mono | None = None
    """When it has reached its ``max_age``."""
    bad_checks: int = 0
    """Bad looks at its health in a row."""
    sick: str | None = None
    """Why it is unhealthy."""


@dataclass(frozen=True, slots=True)
class New:
    """Not taken on yet."""

    gave_up: str | None = None
    """Why it had given up when the supervisor before this one ended."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """``enabled = false``."""

    since: Now


@dataclass(frozen=True, slots=True)
class Stopped:
    """At rest because somebody asked for it."""

    since: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """May not start yet: its group, or a job that must be ready first, holds it back."""

    since: Now
    trigger: Trigger
    """Of the start, once it may."""
    last: str | None = None
    """How it fell; its group has yet to say whether it is restarted."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """At rest until the next due time."""

    since: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Due, but ``max_running`` others run."""

    since: Now
    run: Attempt
    deadline_at: Mono | None = None
    until: Mono | None = None
    """Waiting longer is missing it."""
    process: Process | None = None
    """Of a Worker, whose tick waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A run waits for its row to be on disk; a tick has its Worker's process already."""

    since: Now
    run: Attempt
    until: Mono
    """Then it starts all the same: a sick disk costs records, never runs."""
    deadline_at: Mono | None = None
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Starting:
    """A process is ordered, and not ready yet; a scheduled Worker is not before it serves."""

    since: Now
    process: Process
    until: Mono | None = None
    """Without ``ready`` until then it has failed to start."""
    is_ready: bool = False
    is_serving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The process runs. ``settles_at`` is None once it has been up long enough to count as come up."""

    since: Now
    process: Process
    settles_at: Mono | None = None
    ends_by: Mono | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """A Worker between its ticks."""

    since: Now
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticking:
    """A Worker in its ``tick()``."""

    since: Now
    process: Process
    tick: Attempt
    ends_by: Mono | None = None
    deadline_at: Mono | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """An end was asked for; ``kill_at`` is None when it was ordered already, or shall never be."""

    since: Now
    process: Process
    cause: Cause
    kill_at: Mono | None
    tick: Ticking | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits before the next try. ``retry`` names a scheduled run's further attempt; None is a restart."""

    since: Now
    until: Mono
    last: str
    retry: Attempt | None = None
    failed: Attempt | None = None
    """The attempt that the retry follows."""
    deadline_at: Mono | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Ended badly for good: gave up, or ``restart = "never"``."""

    since: Now
    reason: str
    gave_up: bool = False
    """It stays so until a start by hand, whatever becomes of the supervisor."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Ended well, not to be started again."""

    since: Now


State = (
    New
    | Disabled
    | Stopped
    | Barred
    | Waiting
    | Blocked
    | Recording
    | Starting
    | Running
    | Idle
    | Ticking
    | Stopping
    | Backoff
    | Failed
    | Finished
)

STATES = State.__args__


def process_of(state: State) -> Process | None:
    """Return the process that a state has, running or ordered."""
    match state:
        case Starting() | Running() | Idle() | Ticking() | Stopping() | Recording() | Blocked():
            return state.process
    return None


def deadline_of(state: State) -> Mono | None:
    """Return the monotonic instant at which the state wants to hear ``Elapsed``."""
    match state:
        case Recording(until=until) | Backoff(until=until) | Blocked(until=until):
            return until
        case Starting(until=until):
            return until
        case Running(process=process, settles_at=settles_at, ends_by=ends_by):
            return earliest(settles_at, ends_by, process.beat_by, process.well_at, process.old_at)
        case Idle(process=process):
            return earliest(process.beat_by, process.well_at, process.old_at)
        case Ticking(process=process, ends_by=ends_by):
            return earliest(ends_by, process.beat_by, process.well_at)
        case Stopping(kill_at=kill_at):
            return kill_at
    return None


def earliest(*instants: Mono | None) -> Mono | None:
    """Return the first of some instants; None is never."""
    known = [at for at in instants if at is not None]
    return min(known) if known else None


def is_at_rest(state: State) -> bool:
    """True where nothing runs, is ordered or comes by itself."""
    return isinstance(state, _AT_REST)


_AT_REST = (New, Disabled, Stopped, Barred, Waiting, Failed, Finished)
"""A tuple, for this is asked of every event: a union of classes would be built anew each time."""


def last_due(state: State) -> datetime | None:
    """Return the due time of the run that a state is about."""
    match state:
        case Ticking(tick=run) | Stopping(tick=Ticking(tick=run)) | Recording(run=run) | Blocked(run=run):
            return run.due_at
        case Backoff(retry=Attempt() as run):
            return run.due_at
        case Starting(process=process) | Running(process=process) | Stopping(process=process):
            return process.run.due_at
    return None
