"""What a run is, and the rows that the record of runs keeps of it."""

from datetime import datetime, timedelta
from enum import StrEnum

from supervisor.core.exits import ErrorRecord, Usage
from supervisor.values import dataclass

RunId = int
"""Names a run for ever on this state_dir; rising. A process is named by it, never by its pid."""


class Trigger(StrEnum):
    """Why a run was started."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch-up"
    MANUAL = "manual"
    RETRY = "retry"
    START = "start"
    """First start of a long-lived job or of a Worker's process."""
    RESTART = "restart"
    """A start by restart policy."""


class Outcome(StrEnum):
    """How a run, or a due time that had none, is judged."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    KILLED = "killed"
    """By a signal that was not ours."""
    STOPPED = "stopped"
    """By us: by hand, reload, shutdown."""
    LOST = "lost"
    """Nobody saw its end."""
    SKIPPED = "skipped"
    """Due, not started: overlap, back-off."""
    MISSED = "missed"
    """Due while nobody could start it."""

    @property
    def is_failure(self) -> bool:
        """True for the outcomes that make a job failing."""
        return self in FAILURES


FAILURES = frozenset({Outcome.FAILED, Outcome.TIMEOUT, Outcome.KILLED, Outcome.LOST})


@dataclass(frozen=True, slots=True, order=True)
class SlotId:
    """One instance of a job, and for runs side by side (overlap = "allow") the lane."""

    job: str
    instance: int = 1
    lane: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run: identity is (job, instance, due time, attempt); the id is short for it."""

    run_id: RunId
    slot: SlotId
    trigger: Trigger
    due_at: datetime | None = None
    """None for a long-lived job and for the process of a Worker."""
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The first half of a row, committed before the process starts."""

    run: Attempt
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The second half of a row. ``final`` says that no further attempt of this due time follows."""

    run: Attempt
    started_at: datetime
    ended_at: datetime
    duration: timedelta
    outcome: Outcome
    final: bool = True
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage | None = None
    reason: str | None = None
    error: ErrorRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A whole row for a due time that had no process: skipped or missed, and why."""

    run: Attempt
    at: datetime
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """A failed attempt whose retry was dropped is its due time's final row after all."""

    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A person wants another number of instances than the manifest; it holds until the manifest's own is edited."""

    of: int
    """What the manifest said then."""
    to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a slot keeps over a restart of the supervisor: wall instants and ages, never monotonic deadlines."""

    slot: SlotId
    fingerprint: str | None = None
    """Of the schedule; another one re-anchors."""
    anchor: datetime | None = None
    cursor: datetime | None = None
    """The last due time that has been dealt with."""
    waiting: tuple[datetime, ...] = ()
    """Due times up to the cursor that have no row yet: to be made up, queued, or without room to run."""
    ended_at: datetime | None = None
    """End of the last run, for ``delay``."""
    held: bool = False
    paused: bool = False
    runs: int = 0
    failures: int = 0
    restarts: int = 0
    restarted_at: tuple[datetime, ...] = ()
    """Of the restarts that the limit still counts."""
    streak: int = 0
    """Restarts since the job last ran well."""
    gave_up: str | None = None
    """Why it gave up; None where it has not, or was started by hand since."""
    failed_in_a_row: int = 0
    succeeded_at: datetime | None = None
    boot: str | None = None
    """The boot in which an @reboot job last ran."""
    last: Closed | None = None
    scaled: Scaled | None = None
    """Of a job's first instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A removed job's saved state is dropped; its history rows stay until retention takes them."""

    slot: SlotId


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGroup:
    """What a group keeps over a restart of the supervisor."""

    group: str
    restarts: int = 0
    restarted_at: tuple[datetime, ...] = ()
    """Of the restarts of members that the limit still counts."""
    streak: int = 0
    """Restarts by its parent since it last ran well."""
    gave_up: str | None = None
    """Why it is fenced; None where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenGroup:
    """A removed group's saved state is dropped."""

    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """The last lines that a run put out, for the record of its failure; the log process hands them in after its end."""

    run_id: RunId
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """The stacks of a run's threads before it was stopped because it took too long; the latest counts."""

    run_id: RunId
    stack: str


Record = Opened | Closed | NotRun | Finalized | Printed | Dumped | Saved | Forgotten | SavedGroup | ForgottenGroup
"""What the history is told, in order."""
