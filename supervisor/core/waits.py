"""When a command that waits knows its end: a slot came up, went down, or will not."""

from datetime import datetime
from typing import Protocol

from supervisor.core.runs import Closed, NotRun, Outcome, RunId
from supervisor.core.schedule import Reboot
from supervisor.core.slot import Slot
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    Running,
    Stopped,
    Stopping,
    Ticking,
    Waiting,
    Wanted,
    last_due,
    process_of,
)
from supervisor.core.status import brief
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what was waited for ended, in words for a person."""

    ok: bool
    message: str
    row: Closed | NotRun | None = None
    """What the record of runs has of it, where a run was waited for."""


class Wait(Protocol):
    """A question to a slot after each of its changes; None is not yet."""

    def answer(self, slot: Slot, hindrance: str | None, /) -> Verdict | None:
        """Return the verdict once there is one; ``hindrance`` says why a blocked slot will not start by itself."""


@dataclass(frozen=True, slots=True)
class CameUp:
    """Waits until a slot runs (or rests, where it has nothing to run now), with another process than ``old``."""

    restarts: int
    old: RunId | None = None

    def answer(self, slot: Slot, hindrance: str | None = None) -> Verdict | None:
        """Return whether the slot came up: alive for ``settle``, serving, or waiting for its due time."""
        if slot.wanted is not Wanted.UP and slot.job.enabled:
            return Verdict(ok=False, message="stopped meanwhile")
        if slot.tally.restarts > self.restarts and not isinstance(slot.state, Failed):
            return Verdict(ok=False, message=_why(slot))
        match slot.state:
            case Running(process=process, settles_at=None) | Idle(process=process) | Ticking(process=process):
                if process.run.run_id == self.old:
                    return None
                return Verdict(ok=True, message=f"running, pid {process.pid}")
            case Running(process=process) if process.run.due_at is not None:
                return Verdict(ok=True, message=f"running, pid {process.pid}")
            case Waiting() if slot.fault is not None:
                return Verdict(ok=False, message=slot.fault)
            case Waiting() if slot.kind is not None:
                until = "the next boot" if isinstance(slot.job.schedule, Reboot) else "its next due time"
                return Verdict(ok=True, message=f"waiting for {until}")
            case Barred() if hindrance is not None:
                return Verdict(ok=False, message=f"blocked: {hindrance}")
            case Blocked():
                return Verdict(ok=True, message="blocked: waits for max_running")
            case Finished():
                return Verdict(ok=True, message="finished")
            case Disabled():
                return Verdict(ok=False, message="disabled in the manifest")
            case Backoff() | Failed():
                return Verdict(ok=False, message=_why(slot))
        return None


@dataclass(frozen=True, slots=True)
class WentDown:
    """Waits until nothing of a slot runs."""

    def answer(self, slot: Slot, _: str | None = None) -> Verdict | None:
        """Return that the slot is at rest, or that somebody started it again."""
        if slot.wanted is Wanted.UP and not isinstance(slot.state, Disabled):
            return Verdict(ok=False, message="started again meanwhile")
        match slot.state:
            case Stopped() | Disabled():
                return Verdict(ok=True, message="stopped")
        return None


@dataclass(frozen=True, slots=True)
class TargetKnown:
    """Waits until an import has told what a slot's target is."""

    def answer(self, slot: Slot, _: str | None = None) -> Verdict | None:
        """Return that it is known, or why it cannot be had."""
        if slot.problem is not None:
            return Verdict(ok=False, message=slot.problem)
        return None if slot.kind is None else Verdict(ok=True, message=slot.kind.value)


@dataclass(frozen=True, slots=True)
class RunBegan:
    """Waits until the run of a due time has a process, or will not have one."""

    due_at: datetime

    def answer(self, slot: Slot, _: str | None = None) -> Verdict | None:
        """Return since when it runs, in ISO 8601; or how it is over."""
        ended = RunEnded(self.due_at).answer(slot)
        if ended is not None:
            began_at = ended.row.started_at if isinstance(ended.row, Closed) else None
            return Verdict(ok=False, message=ended.message) if began_at is None else _began(began_at)
        if last_due(slot.state) != self.due_at:
            return None
        match slot.state:
            case Running(process=process) | Stopping(process=process):
                return _began(process.began.wall)
            case Ticking(since=since):
                return _began(since.wall)
        return None


def _began(at: datetime) -> Verdict:
    return Verdict(ok=True, message=at.isoformat())


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Waits until a due time has its final row."""

    due_at: datetime

    def answer(self, slot: Slot, _: str | None = None) -> Verdict | None:
        """Return how the run was judged."""
        last, not_run = slot.tally.last, slot.tally.not_run
        if not_run is not None and not_run.run.due_at == self.due_at:
            return Verdict(ok=False, message=f"{not_run.outcome.value}: {not_run.reason}", row=not_run)
        if last is not None and last.final and last.run.due_at == self.due_at:
            return Verdict(ok=last.outcome is Outcome.OK, message=_judged(last), row=last)
        return None


def _judged(row: Closed) -> str:
    """Return how a run was judged, and why where there is more to say: ``ok``, ``failed: exit 1``, ``timeout``."""
    word, phrase = row.outcome.value, brief(row)
    return word if phrase == word else f"{word}: {phrase}"


def _why(slot: Slot) -> str:
    match slot.state:
        case Failed(reason=reason):
            return reason
        case Backoff(last=last):
            return f"did not come up: {last}"
    return f"did not come up: {slot.problem}" if slot.problem else "did not come up: it ended at once"


def running_id(slot: Slot) -> RunId | None:
    """Return the run id of a slot's process, for a wait for another one."""
    process = process_of(slot.state)
    return process.run.run_id if process is not None else None
