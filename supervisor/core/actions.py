"""Orders: what shall be done, imperative. ``lifecycle.step`` returns them; the shell performs them in order."""

from supervisor.core.events import Cause
from supervisor.core.job import Job
from supervisor.core.runs import Attempt, Record, RunId, SlotId
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a record; with ``ack`` the slot waits for ``Committed`` before it goes on."""

    record: Record
    ack: RunId | None = None


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process for this run of the job."""

    run: Attempt
    job: Job


@dataclass(frozen=True, slots=True)
class Tick:
    """Have the Worker of process ``run_id`` run ``tick()`` for this due time."""

    run_id: RunId
    run: Attempt


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the whole job to end: the Worker is told the cause, the process group gets the signal, then SIGCONT."""

    run_id: RunId
    signal: int
    cause: Cause
    dump: bool = False
    """Have the stacks of its threads recorded first."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End the whole job now, with all it has started."""

    run_id: RunId
    dump: bool = False
    """Have the stacks of its threads recorded first."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Look whether a process is ready until it is, where that takes looking; ``Ready`` follows, or its end."""

    run: Attempt
    job: Job


@dataclass(frozen=True, slots=True)
class Watch:
    """Look at the health of a process until it ends or is stopped; ``Checked`` follows each look."""

    run: Attempt
    job: Job


@dataclass(frozen=True, slots=True)
class Beside:
    """Start a run of this due time beside the active one (overlap = "allow"), in a lane of its own."""

    run: Attempt


@dataclass(frozen=True, slots=True)
class Escalate:
    """The slot gave up and its job is essential: the root group sees a failed child."""

    slot: SlotId


@dataclass(frozen=True, slots=True)
class Fall:
    """The slot ended and is to be restarted, if its group allows it."""

    slot: SlotId


Action = Keep | Spawn | Tick | Stop | Kill | Probe | Watch | Beside | Escalate | Fall
