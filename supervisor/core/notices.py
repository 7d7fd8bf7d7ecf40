"""What is worth telling people of a change, and whom: values in, notices out.

A failure is told when so many due times in a row have failed as the notifier wants; a recovery only to those who were
told of the failure. A long-lived job has recovered when it has run well for its ``within``, as its back-off has it: one
that comes up and dies again every few seconds is told of once.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from supervisor.core.deadlines import Deadlines
from supervisor.core.effects import Change
from supervisor.core.exits import signal_name
from supervisor.core.instants import Mono, Now
from supervisor.core.lateness import late_at, lateness
from supervisor.core.notifier import Notifier, On, Webhook
from supervisor.core.runs import Attempt, Closed, Outcome, RunId, SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Failed, New, Running, State, Ticking, earliest
from supervisor.core.status import brief, enough, iso
from supervisor.values import dataclass

_TICK = timedelta(milliseconds=1)
"""Lateness begins after its instant, not at it."""


class Ping(StrEnum):
    """What a ping says of one run."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth telling, of one slot."""

    event: On | Ping
    slot: Slot
    at: datetime
    text: str
    run: Attempt | None = None
    row: Closed | None = None
    failures: int = 0
    """Failed in a row, with this one."""
    was_late: bool = False

    def told(self) -> dict[str, Any]:
        """Return the notice as JSON."""
        row = self.row
        error = row.error if row else None
        return {
            "event": self.event.value,
            "job": self.slot.job.name,
            "instance": self.slot.id.instance,
            "at": iso(self.at),
            "text": self.text,
            "failures": self.failures,
            "run_id": self.run.run_id if self.run else None,
            "due_at": iso(self.run.due_at) if self.run else None,
            "attempt": self.run.attempt if self.run else None,
            "started_at": iso(row.started_at) if row else None,
            "ended_at": iso(row.ended_at) if row else None,
            "duration_s": row.duration.total_seconds() if row else None,
            "outcome": row.outcome.value if row else None,
            "exit_code": row.exit_code if row else None,
            "signal": signal_name(row.signal) if row and row.signal is not None else None,
            "reason": row.reason if row else None,
            "error": (
                {"type": error.type, "message": error.message, "file": error.file, "line": error.line}
                if error
                else None
            ),
        }


def is_for(notice: Notice, notifier: Notifier) -> bool:
    """Tell whether a notifier wants a notice."""
    pings = isinstance(notifier.to, Webhook) and notifier.to.ping
    match notice.event:
        case Ping():
            return pings
        case _ if pings:
            return False
        case On.FAILURE:
            return On.FAILURE in notifier.on and notice.failures == notifier.failures
        case On.RECOVERY:
            told_failing = On.FAILURE in notifier.on and notice.failures >= notifier.failures
            told_late = On.LATE in notifier.on and notice.was_late
            return On.RECOVERY in notifier.on and (told_failing or told_late or notifier.on == {On.RECOVERY})
    return notice.event in notifier.on


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedNotices:
    """What is remembered, as a value."""

    late: tuple[SlotId, ...]
    late_at: tuple[tuple[SlotId, Mono], ...]
    well_at: tuple[tuple[SlotId, Mono, RunId], ...]


class Notices:
    """What has to be remembered between two changes: who is late, and who has to run well for a while yet."""

    def __init__(self) -> None:
        self._late: set[SlotId] = set()
        self._late_at = Deadlines[SlotId]()
        self._well_at = Deadlines[SlotId]()
        self._well: dict[SlotId, RunId] = {}
        """The run that has to go on until then."""

    @property
    def deadline(self) -> Mono | None:
        """The monotonic instant at which ``advance`` wants to be called; None is never."""
        return earliest(self._late_at.first(), self._well_at.first())

    def hand_over(self) -> HandedNotices:
        """Return what is remembered."""
        return HandedNotices(
            late=tuple(self._late),
            late_at=tuple(self._late_at.items()),
            well_at=tuple((slot_id, at, self._well[slot_id]) for slot_id, at in self._well_at.items()),
        )

    def take_over(self, handed: HandedNotices) -> None:
        """Remember what another one did."""
        self._late = set(handed.late)
        for slot_id, at in handed.late_at:
            self._late_at.set(slot_id, at)
        for slot_id, at, run_id in handed.well_at:
            self._well_at.set(slot_id, at)
            self._well[slot_id] = run_id

    def notice(self, change: Change) -> list[Notice]:
        """Return what a change is worth telling."""
        slot = change.after
        if not slot.job.notify:
            self._forget(slot.id)
            return []
        found = list(_starts(change))
        if slot.is_lane:
            return found
        found += self._ends(change)
        if isinstance(slot.state, Failed) and not isinstance(change.before.state, Failed | New):
            text = f"{slot.label} failed for good: {slot.state.reason}"
            found.append(_of(On.GIVE_UP, slot, change.at, text, row=_row(slot)))
        if slot.paused and not change.before.paused and slot.has_had_enough:
            found.append(_of(On.GIVE_UP, slot, change.at, f"{slot.label} is {enough(slot)}", row=_row(slot)))
        self._watch_recovery(change)
        found += self._watch_lateness(slot, change.at)
        return found

    def advance(self, slots: Mapping[SlotId, Slot], now: Now) -> list[Notice]:
        """Return what the passing of time is worth telling."""
        found: list[Notice] = []
        while (slot_id := self._well_at.pop(now.mono)) is not None:
            run_id = self._well.pop(slot_id)
            slot = slots.get(slot_id)
            if slot is not None and isinstance(slot.state, Running) and slot.state.process.run.run_id == run_id:
                text = f"{slot.label} runs well again"
                found.append(_of(On.RECOVERY, slot, now, text, failures=slot.tally.failed_in_a_row))
        while (slot_id := self._late_at.pop(now.mono)) is not None:
            if slot_id in slots:
                found += self._watch_lateness(slots[slot_id], now)
        return found

    def _ends(self, change: Change) -> Iterator[Notice]:
        """Yield what a run's end is worth telling."""
        before, slot = change.before, change.after
        row = slot.tally.last
        if row is None or row is before.tally.last:
            return
        failures = slot.tally.failed_in_a_row
        if row.outcome is Outcome.OK:
            yield _of(Ping.SUCCESS, slot, change.at, f"{slot.label}: ok", row=row)
            was_late = slot.id in self._late
            if before.tally.failed_in_a_row or was_late:
                text = f"{slot.label} is well again"
                failed = before.tally.failed_in_a_row
                yield _of(On.RECOVERY, slot, change.at, text, row=row, failures=failed, was_late=was_late)
        elif row.outcome.is_failure and row.final:
            again = f" ({failures} in a row)" if failures > 1 else ""
            text = f"{slot.label} failed{again}: {brief(row)}"
            yield _of(Ping.FAIL, slot, change.at, text, row=row, failures=failures)
            yield _of(On.FAILURE, slot, change.at, text, row=row, failures=failures)

    def _watch_recovery(self, change: Change) -> None:
        """Note when a long-lived job that has failed will have run well for long enough."""
        slot = change.after
        match slot.state:
            case Running(process=process) if process.run.due_at is None and slot.tally.failed_in_a_row:
                well_at = process.began.mono + slot.job.supervision.limit.within
                if well_at > change.at.mono:
                    self._well_at.set(slot.id, well_at)
                    self._well[slot.id] = process.run.run_id
            case _:
                self._forget_recovery(slot.id)

    def _watch_lateness(self, slot: Slot, now: Now) -> list[Notice]:
        """Note when a slot will be late; return that it is, once."""
        why = lateness(slot, now)
        at = late_at(slot, now) if why is None else None
        self._late_at.set(slot.id, None if at is None else max(now.mono, at) + _TICK)
        if why is None:
            self._late.discard(slot.id)
            return []
        if slot.id in self._late:
            return []
        self._late.add(slot.id)
        return [_of(On.LATE, slot, now, f"{slot.label} is late: {why}")]

    def _forget(self, slot_id: SlotId) -> None:
        self._late.discard(slot_id)
        self._late_at.set(slot_id, None)
        self._forget_recovery(slot_id)

    def _forget_recovery(self, slot_id: SlotId) -> None:
        self._well_at.set(slot_id, None)
        self._well.pop(slot_id, None)


def _starts(change: Change) -> Iterator[Notice]:
    """Yield the run that a change has started."""
    run = _run(change.after.state)
    if run is not None and run != _run(change.before.state):
        yield _of(Ping.START, change.after, change.at, f"{change.after.label}: run {run.run_id} has started", run=run)


def _run(state: State) -> Attempt | None:
    match state:
        case Running(process=process):
            return process.run
        case Ticking(tick=tick):
            return tick
    return None


def _row(slot: Slot) -> Closed | None:
    return slot.tally.last


def _of(
    event: On | Ping,
    slot: Slot,
    now: Now,
    text: str,
    *,
    run: Attempt | None = None,
    row: Closed | None = None,
    failures: int = 0,
    was_late: bool = False,
) -> Notice:
    run = run or (row.run if row else None)
    return Notice(
        event=event, slot=slot, at=now.wall, text=text, run=run, row=row, failures=failures, was_late=was_late
    )
