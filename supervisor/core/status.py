"""What ``status`` says of each slot: one word of state, one of health with its reason, and the figures."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any

from supervisor.core.events import Cause
from supervisor.core.exits import signal_name
from supervisor.core.instants import Now
from supervisor.core.lateness import lateness
from supervisor.core.runs import Closed, Outcome, RunId
from supervisor.core.slot import Slot
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    New,
    Recording,
    Running,
    Starting,
    Stopped,
    Stopping,
    Ticking,
    Waiting,
    process_of,
)
from supervisor.values import dataclass, replace


class Health(StrEnum):
    """How a slot is; the first three and ``stopped`` need nobody's attention."""

    OK = "ok"
    STARTING = "starting"
    STOPPED = "stopped"
    FAILING = "failing"
    LATE = "late"
    UNHEALTHY = "unhealthy"
    HUNG = "hung"

    @property
    def is_good(self) -> bool:
        """True where ``status`` may exit 0."""
        return self in {Health.OK, Health.STARTING, Health.STOPPED}


@dataclass(frozen=True, slots=True)
class Vital:
    """CPU and memory of a whole job: its process and all below it. None is not measured yet."""

    cpu_percent: float | None = None
    rss_bytes: int | None = None
    pss_bytes: int | None = None


UNMEASURED = Vital()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come, as it said itself."""

    run_id: RunId
    """Of the run that said it, which for a Worker is a tick."""
    done: float
    total: float | None
    note: str
    per_second: float | None
    """How much was done a second since it began; None where there is nothing to reckon it from."""

    @property
    def left(self) -> timedelta | None:
        """How long the rest takes at this rate; None where nothing tells."""
        if self.total is None or self.per_second is None or self.per_second <= 0 or self.total < self.done:
            return None
        seconds = (self.total - self.done) / self.per_second
        return timedelta(seconds=seconds) if seconds < LONGEST_LEFT.total_seconds() else None


LONGEST_LEFT = timedelta(days=3650)
NO_PROGRESS: Mapping[RunId, Progress] = {}


def state_word(slot: Slot) -> str:
    """Return the STATE column."""
    match slot.state:
        case Barred():
            return "blocked"
        case Waiting() | Idle():
            return "paused" if slot.paused else "waiting"
        case New() | Recording() | Starting():
            return "starting"
        case Running() | Ticking():
            return "running"
    return type(slot.state).__name__.lower()


def health(slot: Slot, now: Now) -> tuple[Health, str | None]:
    """Return the health of a slot and the reason behind it."""
    match slot.state:
        case Disabled() | Finished():
            return Health.OK, None
        case Stopped():
            return Health.STOPPED, "by hand"
        case Failed(reason=reason):
            return Health.FAILING, reason
        case Backoff(last=last):
            return Health.FAILING, slot.problem or last
    process = process_of(slot.state)
    match slot.state:
        case Stopping(cause=Cause.HUNG):
            return Health.HUNG, "no heartbeat"
    if process is not None and process.sick is not None:
        return Health.UNHEALTHY, process.sick
    if slot.fault is not None:
        return Health.FAILING, slot.fault
    if slot.paused:
        return (Health.FAILING, enough(slot)) if slot.has_had_enough else (Health.OK, None)
    trouble = failing_since(slot)
    if trouble is not None:
        return Health.FAILING, trouble
    late = lateness(slot, now)
    if late is not None:
        return Health.LATE, late
    match slot.state:
        case New() | Recording() | Starting() | Barred() | Blocked():
            return Health.STARTING, None
        case Stopping(cause=cause):
            return Health.OK, f"stopping: {cause.value}"
    return Health.OK, None


def failing_since(slot: Slot) -> str | None:
    """Return the failure that a slot has not recovered from: by a good run, or by having come up again."""
    last = slot.tally.last
    is_bad = last is not None and last.outcome.is_failure
    match slot.state:
        case Running(process=process, settles_at=None) if process.run.due_at is None:
            return None
        case Idle() if slot.tally.failed_in_a_row == 0 and not is_bad:
            return None
    if slot.job.schedule is None and slot.streak == 0 and not isinstance(slot.state, Waiting):
        return None
    if last is not None and is_bad:
        return brief(last)
    if slot.job.schedule is not None and slot.tally.failed_in_a_row:
        return f"{slot.tally.failed_in_a_row} failed in a row"
    return None


def enough(slot: Slot) -> str:
    """Return why a job has paused itself."""
    failures, last = slot.tally.failed_in_a_row, slot.tally.last
    return f"paused after {failures} failures in a row{f': {brief(last)}' if last is not None else ''}"


def brief(row: Closed) -> str:
    """Return a row in a phrase: ``ok``, ``exit 1``, ``ValueError importer.py:42``, ``timeout``."""
    match row:
        case Closed(error=error) if error is not None:
            return error.brief
        case Closed(outcome=outcome, reason=reason) if outcome.value == "failed" and reason:
            return reason
        case Closed(outcome=outcome, exit_code=code) if outcome.is_failure and code is not None:
            return f"exit {code}" if outcome.value == "failed" else outcome.value
        case Closed(outcome=outcome, signal=number) if outcome.value == "killed" and number is not None:
            return signal_name(number)
    return row.outcome.value


def report(
    slots: Iterable[Slot],
    vitals: Mapping[RunId, Vital],
    now: Now,
    why: Callable[[Slot], str],
    progress: Mapping[RunId, Progress] = NO_PROGRESS,
) -> list[dict[str, Any]]:
    """Return the ``jobs`` of ``status --json``, in manifest order; a job's lanes stand in its own row.

    ``why`` tells what a slot waits for that its group, or a job before it, holds back.
    """
    slots = list(slots)
    lanes = {replace(slot.id, lane=0): slot for slot in reversed(slots) if slot.is_lane}
    shown = [_with_lane(slot, lanes.get(slot.id)) for slot in slots if not slot.is_lane]
    return [_row(slot, vitals, now, why) | {"progress": _progress(slot, progress)} for slot in shown]


def _with_lane(slot: Slot, lane: Slot | None) -> Slot:
    """Return a slot as it is shown: one that waits while a run beside it goes on shows that."""
    return replace(slot, state=lane.state) if lane is not None and isinstance(slot.state, Waiting) else slot


def _row(slot: Slot, vitals: Mapping[RunId, Vital], now: Now, why: Callable[[Slot], str]) -> dict[str, Any]:
    word, reason = health(slot, now)
    if isinstance(slot.state, Barred) and word is not Health.FAILING:
        reason = why(slot)
    process = process_of(slot.state)
    vital = vitals.get(process.run.run_id, UNMEASURED) if process else UNMEASURED
    up = now.mono - process.began.mono if process else None
    return {
        "name": slot.job.name,
        "instance": slot.id.instance,
        "node": None,
        "state": state_word(slot),
        "health": word.value,
        "reason": reason,
        "pid": process.pid if process else None,
        "started_at": iso(process.began.wall) if process else None,
        "uptime_s": round(up.total_seconds(), 3) if up is not None else None,
        "runs": slot.tally.runs,
        "failures": slot.tally.failures,
        "restarts": slot.tally.restarts,
        "cpu_percent": vital.cpu_percent,
        "rss_bytes": vital.rss_bytes,
        "pss_bytes": vital.pss_bytes,
        "last": _last(slot.tally.last),
        "next_due_at": iso(_next_due(slot, now)),
        "progress": None,
    }


def _progress(slot: Slot, progress: Mapping[RunId, Progress]) -> dict[str, Any] | None:
    """Return how far the run in progress is; what an earlier tick of a Worker said is over."""
    process = process_of(slot.state)
    said = progress.get(process.run.run_id) if process else None
    if process is None or said is None:
        return None
    match slot.state:
        case Ticking(tick=current) | Stopping(tick=Ticking(tick=current)):
            pass
        case _:
            current = process.run
    if said.run_id != current.run_id or not isfinite(said.done):
        return None
    left = said.left
    return {
        "done": _figure(said.done),
        "total": _figure(said.total),
        "note": said.note,
        "per_second": _figure(said.per_second),
        "left_s": round(left.total_seconds(), 3) if left is not None else None,
    }


def _figure(number: float | None) -> float | None:
    """Return a whole number as such, and None for what is no number in JSON."""
    if number is None or not isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _next_due(slot: Slot, now: Now) -> datetime | None:
    """Return when something will start: the next try in back-off, what is made up, or the next due time."""
    if slot.table is None or slot.paused or isinstance(slot.state, Disabled | Finished | Failed | Stopped | Barred):
        due_at = None
    elif slot.made_up_at is not None:
        due_at = now.wall_of(max(slot.made_up_at, now.mono))
    else:
        due_at = slot.table.next_due_at
    match slot.state:
        case Backoff(until=until, retry=None):
            return now.wall_of(until)
        case Backoff(until=until):
            return min(at for at in (now.wall_of(until), due_at) if at is not None)
    return due_at


def _last(row: Closed | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "run_id": row.run.run_id,
        "due_at": iso(row.run.due_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "outcome": row.outcome.value,
        "exit_code": row.exit_code,
        "signal": signal_name(row.signal) if row.signal is not None else None,
        "error": row.error.brief if row.error else (None if row.outcome is Outcome.OK else row.reason),
    }


def iso(at: datetime | None) -> str | None:
    """Return an instant as ISO 8601 UTC, ``Z`` at the end."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
