"""One instance of a job as the supervisor knows it: what is wanted, what is, what is due, what has been."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count

from supervisor.core.actions import Action, Keep
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.job import Command, Job, Missed, kind_problem
from supervisor.core.kind import Kind
from supervisor.core.runs import Attempt, Closed, NotRun, Outcome, Saved, Scaled, SlotId, Trigger
from supervisor.core.states import Barred, Blocked, Failed, Idle, New, State, Waiting, Wanted, deadline_of, earliest
from supervisor.core.timetable import Timetable, schedule_id
from supervisor.values import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a slot's runs add up to, kept over restarts of the supervisor."""

    runs: int = 0
    failures: int = 0
    restarts: int = 0
    failed_in_a_row: int = 0
    succeeded_at: datetime | None = None
    ended_at: datetime | None = None
    last: Closed | None = None
    """The run that ended last."""
    not_run: NotRun | None = None
    """The due time that had no run last."""

    def with_start(self) -> "Tally":
        """Return the tally with one more started run."""
        return replace(self, runs=self.runs + 1)

    def with_end(self, closed: Closed) -> "Tally":
        """Return the tally with one more ended run; ``failed_in_a_row`` counts due times, not their attempts."""
        failed = closed.outcome.is_failure
        good = closed.outcome is Outcome.OK
        return replace(
            self,
            failures=self.failures + failed,
            failed_in_a_row=0 if good else self.failed_in_a_row + (failed and closed.final),
            succeeded_at=closed.ended_at if good else self.succeeded_at,
            ended_at=closed.ended_at,
            last=closed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The record of one instance; ``lifecycle.step`` makes the next one of it."""

    id: SlotId
    job: Job
    state: State = field(default_factory=New)
    wanted: Wanted = Wanted.UP
    kind: Kind | None = None
    """None until an import has told what ``run`` names."""
    problem: str | None = None
    """Why the target cannot be had."""
    paused: bool = False
    table: Timetable | None = None
    window: tuple[Now, ...] = ()
    """The restarts that the limit still counts."""
    streak: int = 0
    """Restarts since the job last ran well."""
    beside: tuple[datetime, ...] = ()
    """Due times of the runs in lanes of their own (overlap = "allow")."""
    aside: tuple[datetime, ...] = ()
    """Those of them that ``max_running`` leaves no room: they have no row yet."""
    boot: str | None = None
    scaled: Scaled | None = None
    """What a person wants of the number of instances; the first one keeps it."""
    tally: Tally = field(default_factory=Tally)

    @property
    def label(self) -> str:
        """What people call the slot."""
        return self.job.label(self.id.instance)

    @property
    def fault(self) -> str | None:
        """What is wrong with the job itself: its target cannot be had, or keys of it are for the other kind."""
        if self.problem is not None or self.kind is None:
            return self.problem
        return kind_problem(self.job, self.kind)

    @property
    def is_worker(self) -> bool:
        """True for a scheduled Worker, which lives between its ticks."""
        return self.kind is Kind.WORKER and self.job.schedule is not None

    @property
    def is_periodic(self) -> bool:
        """True where each due time has a process of its own."""
        return self.job.schedule is not None and not self.is_worker

    @property
    def serves_dues(self) -> bool:
        """True when due times can be dealt with: the target's kind is known."""
        return self.table is not None and self.kind is not None

    @property
    def made_up_at(self) -> Mono | None:
        """The monotonic instant from which on a due time that waited can start; None: none waits, or it cannot yet.

        Of several that are made up each waits for the end of the one before; one alone meets ``overlap``.
        """
        table = self.table
        if table is None or not (table.backlog or table.queued) or self.kind is None:
            return None
        is_free = isinstance(self.state, Idle) or (isinstance(self.state, Waiting) and not self.is_worker)
        may_meet = self.job.timing.missed is not Missed.ALL and not isinstance(self.state, New | Barred)
        made_up = table.backlog[0].at if table.backlog and (is_free or may_meet) else None
        return earliest(made_up, ZERO if table.queued and is_free else None)

    @property
    def has_had_enough(self) -> bool:
        """True where so many due times in a row have failed that the job pauses by itself."""
        limit = self.job.timing.pause_after_failures
        return limit is not None and self.tally.failed_in_a_row >= limit

    @property
    def waiting(self) -> tuple[datetime, ...]:
        """The due times that have been dealt with and have no row yet, in order; a retry's due time has one."""
        found = {each.due_at for each in self.table.backlog} if self.table else set()
        found.update(self.aside)
        if self.table and self.table.queued and self.table.queued.trigger is not Trigger.MANUAL:
            found.add(self.table.queued.due_at)
        if self.unrecorded is not None:
            found.add(self.unrecorded)
        return tuple(sorted(found))

    @property
    def unrecorded(self) -> datetime | None:
        """The due time that waits for room to run, where it has no row yet."""
        match self.state:
            case Blocked(run=Attempt(attempt=1, due_at=due_at, trigger=trigger)) if trigger is not Trigger.MANUAL:
                return due_at
        return None

    @property
    def deadline(self) -> Mono | None:
        """The monotonic instant at which the slot wants to be looked at; zero is at once."""
        due = self.table.next.at if self.serves_dues and self.table and self.table.next else None
        return earliest(self.made_up_at, deadline_of(self.state), due)

    @property
    def is_lane(self) -> bool:
        """True for a run beside the active one; it leaves nothing behind."""
        return self.id.lane > 0

    @property
    def gave_up(self) -> str | None:
        """Why the slot has given up; None where it has not."""
        match self.state:
            case Failed(reason=reason, gave_up=True) | New(gave_up=reason):
                return reason
        return None

    def saved(self) -> Saved:
        """Return what the slot keeps over a restart of the supervisor."""
        table = self.table
        return Saved(
            slot=self.id,
            fingerprint=schedule_id(self.job) if table else None,
            anchor=table.anchor if table else None,
            cursor=table.cursor if table else None,
            waiting=self.waiting,
            ended_at=self.tally.ended_at,
            held=self.wanted is Wanted.HELD,
            paused=self.paused,
            runs=self.tally.runs,
            failures=self.tally.failures,
            restarts=self.tally.restarts,
            restarted_at=tuple(at.wall for at in self.window),
            streak=self.streak,
            gave_up=self.gave_up,
            failed_in_a_row=self.tally.failed_in_a_row,
            succeeded_at=self.tally.succeeded_at,
            boot=self.boot,
            last=self.tally.last,
            scaled=self.scaled,
        )


def slot_of(job: Job, instance: int, saved: Saved | None, now: Now) -> Slot:
    """Return the slot of a job's instance before it begins, with what an earlier supervisor saved."""
    kind = Kind.COMMAND if isinstance(job.target, Command) else None
    slot = Slot(id=SlotId(job.name, instance), job=job, kind=kind)
    if saved is None:
        return slot
    return replace(
        slot,
        state=New(saved.gave_up),
        wanted=Wanted.HELD if saved.held else Wanted.UP,
        window=tuple(map(now.ago, saved.restarted_at)),
        streak=saved.streak,
        paused=saved.paused and job.schedule is not None,
        boot=saved.boot,
        tally=Tally(
            runs=saved.runs,
            failures=saved.failures,
            restarts=saved.restarts,
            failed_in_a_row=saved.failed_in_a_row,
            succeeded_at=saved.succeeded_at,
            ended_at=saved.ended_at,
            last=saved.last,
        ),
    )


def with_lost(saved: Saved | None, rows: Iterable[Closed]) -> Saved | None:
    """Return the saved state with the runs counted whose end nobody saw; a Worker's process is no run."""
    for row in rows:
        if saved is None or (row.run.due_at is None and saved.fingerprint is not None):
            continue
        saved = replace(
            saved,
            failures=saved.failures + 1,
            failed_in_a_row=saved.failed_in_a_row + 1,
            ended_at=row.ended_at,
            waiting=tuple(due_at for due_at in saved.waiting if due_at != row.run.due_at),
            last=row,
        )
    return saved


@dataclass(slots=True)
class Context:
    """What the board knows and a slot does not: the next free run id, room for a run, the seed of chance."""

    seed: str
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    room: bool = True
    """False when ``max_running`` runs are active."""
    cleared: bool = True
    """False while the slot's group, or a job that must be ready first, holds it back."""
    patience: timedelta = timedelta(seconds=1)
    """How long a run waits for its row to be on disk."""


def to_save(before: Slot, after: Slot) -> tuple[Action, ...]:
    """Return the order to save a slot where an event has changed what is saved of it; a lane leaves nothing behind."""
    if after.is_lane or (
        after.wanted is before.wanted
        and after.tally is before.tally
        and after.table is before.table
        and after.aside is before.aside
        and after.paused == before.paused
        and after.streak == before.streak
        and after.window is before.window
        and after.job is before.job
        and not isinstance(before.state, Blocked | Failed | New)
        and not isinstance(after.state, Blocked | Failed)
    ):
        return ()
    is_same_schedule = after.job is before.job or schedule_id(after.job) == schedule_id(before.job)
    return () if is_same_schedule and _kept(after) == _kept(before) else (Keep(after.saved()),)


def _kept(slot: Slot) -> tuple[object, ...]:
    """Return what of a slot is saved, beside what its job says, without making a record of it."""
    table = slot.table
    grid = (table.anchor, table.cursor) if table is not None else None
    held = slot.wanted is Wanted.HELD
    return (grid, slot.waiting, held, slot.paused, slot.boot, slot.tally, slot.window, slot.streak, slot.gave_up)


Step = tuple[Slot, tuple[Action, ...]]
"""A slot after an event, and the orders that follow from it."""
