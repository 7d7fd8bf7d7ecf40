"""Facts: what happened, past tense. The engine, the clock and people report them; ``lifecycle.step`` answers."""

from datetime import datetime, timedelta
from enum import StrEnum

from supervisor.core.exits import NO_USAGE, ErrorRecord, Exit, NotStarted, Usage
from supervisor.core.instants import ZERO
from supervisor.core.job import Job
from supervisor.core.kind import Kind
from supervisor.core.runs import RunId, Trigger
from supervisor.values import dataclass


class Cause(StrEnum):
    """Why a stop was asked; also the reason that a Worker's ``stop(reason)`` is told."""

    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"
    REMOVED = "removed"
    SHUTDOWN = "shutdown"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    REPLACED = "replaced"
    START_TIMEOUT = "start_timeout"
    HUNG = "hung"
    """A heartbeat has failed to come."""
    UNHEALTHY = "unhealthy"
    MAX_AGE = "max_age"
    MEMORY = "over limits.memory"
    GROUP = "group"
    """Its group stops and starts its members together, or has given up."""


# -- from the engine ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spawned:
    """The process exists. ``pid`` is information; the run id is its name."""

    run_id: RunId
    pid: int


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """No process came to be: fork, pipes or descriptors failed."""

    run_id: RunId
    ended: NotStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """The process has ended, nothing of it is left, and this is how."""

    run_id: RunId
    ended: Exit
    usage: Usage = NO_USAGE
    error: ErrorRecord | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A Worker has run ``start()`` and waits for ticks and messages."""

    run_id: RunId


@dataclass(frozen=True, slots=True)
class Ready:
    """The job has come up, as its ``ready`` says."""

    run_id: RunId


@dataclass(frozen=True, slots=True)
class Beat:
    """The job has called in."""

    run_id: RunId


@dataclass(frozen=True, slots=True)
class Checked:
    """The job's health was looked at; ``problem`` is None where it is well."""

    run_id: RunId
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickEnded:
    """A Worker's ``tick()`` has returned, or raised ``error`` (then its end follows)."""

    run_id: RunId
    """Of the Worker's process."""
    tick_id: RunId
    """Of the tick."""
    duration: timedelta = ZERO
    cpu: timedelta = ZERO
    error: ErrorRecord | None = None


@dataclass(frozen=True, slots=True)
class MemoryExceeded:
    """The run uses more than ``limits.memory``; told again as long as it does."""

    run_id: RunId


@dataclass(frozen=True, slots=True)
class TargetFound:
    """The throw-away process has imported the target."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class TargetMissing:
    """The target cannot be had; ``problem`` says which job, module and file, and what to create."""

    problem: str


# -- from the record of runs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Committed:
    """The row of this run is on disk."""

    run_id: RunId


# -- from the clock ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Elapsed:
    """The deadline of the slot's state has come."""


@dataclass(frozen=True, slots=True)
class Due:
    """A due time has come (or a made-up one, or one by hand)."""

    due_at: datetime
    trigger: Trigger = Trigger.SCHEDULE


@dataclass(frozen=True, slots=True)
class Passed:
    """A due time went by that nobody will serve, and why."""

    due_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later due time has come beside a lane: a retry that still waits is dropped."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """``max_running`` has room for the slot's run."""


# -- from its group ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Released:
    """What held the slot back does so no more."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The group has charged the restart of a slot that fell: it starts again after ``wait``."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Refused:
    """The limit of the group is reached: the slot that fell is not restarted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """The slot's whole group starts anew: whatever has ended in it may run again, but for what is held."""


# -- from people -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """The supervisor has taken the slot on: it starts as its job and its saved state say."""


@dataclass(frozen=True, slots=True)
class StartRequested:
    """By hand: wanted again; clears hold, give-up and back-off."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """An end is asked: held by hand, removed by a reload, or the whole supervisor stops."""

    cause: Cause = Cause.STOP


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """By hand: not wanted any more; its stop comes when those that were started after it are down."""


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """Stop, then start, even out of back-off or give-up."""

    cause: Cause = Cause.RESTART


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """No new scheduled runs."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Scheduled runs again; what passed meanwhile is not made up."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A reload has changed the job's table; ``at_once``: also a scheduled run does not go on with the old one."""

    job: Job
    at_once: bool = False


EngineFact = Spawned | SpawnFailed | Exited | Serving | Ready | Beat | Checked | TickEnded | MemoryExceeded | Committed
"""The facts that name a run, not a slot."""

Event = (
    Spawned
    | SpawnFailed
    | Exited
    | Serving
    | Ready
    | Beat
    | Checked
    | TickEnded
    | MemoryExceeded
    | TargetFound
    | TargetMissing
    | Committed
    | Elapsed
    | Due
    | Passed
    | Superseded
    | Admitted
    | Released
    | Allowed
    | Refused
    | Renewed
    | Begun
    | StartRequested
    | StopRequested
    | HoldRequested
    | RestartRequested
    | PauseRequested
    | ResumeRequested
    | Edited
)
