"""What all slots share: their groups, ``max_running``, clock steps, shutdown. Facts go in, orders and changes come out.

Nothing is done here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import MappingProxyType

from supervisor.core.actions import Action, Beside, Escalate, Fall, Keep, Kill
from supervisor.core.differences import Effect, effect
from supervisor.core.durations import format_duration
from supervisor.core.edits import Edit, edits
from supervisor.core.effects import Change, Effects
from supervisor.core.ending import retry_after, with_pause
from supervisor.core.events import (
    Admitted,
    Begun,
    Cause,
    Due,
    Edited,
    Elapsed,
    EngineFact,
    Event,
    Passed,
    PauseRequested,
    RestartRequested,
    StartRequested,
    StopRequested,
    Superseded,
)
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.job import Job, Limit
from supervisor.core.lifecycle import step
from supervisor.core.register import Register
from supervisor.core.rows import drop_made_up
from supervisor.core.runs import Closed, Forgotten, Opened, RunId, Saved, SavedGroup, SlotId, Trigger
from supervisor.core.scales import Scales
from supervisor.core.slot import Context, Slot, slot_of, to_save, with_lost
from supervisor.core.snapshot import BoardSnapshot
from supervisor.core.states import (
    Blocked,
    Failed,
    Finished,
    Stopped,
    Waiting,
    Wanted,
    deadline_of,
    earliest,
    is_at_rest,
    last_due,
)
from supervisor.core.timetable import Gap, Unfolded, advance, gap, make_up, stepped, taken_on
from supervisor.core.tree.group import Group
from supervisor.core.tree.orders import EndAll, Tell
from supervisor.core.tree.tree import Tree
from supervisor.values import dataclass, replace

STEP = timedelta(milliseconds=500)
"""A smaller move of the wall clock against the monotonic one is drift or a slow reading, not a step."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The whole supervisor stops: the instant at which everything left is killed, and the exit code then."""

    kill_at: Mono | None
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What ``[supervisor]`` says about all jobs together."""

    root: Limit
    max_running: int | None = None
    stop_timeout: timedelta | None = timedelta(seconds=30)


class Board:
    """The slots of a manifest and the rules that span them: root limit, ``max_running``, clock steps, shutdown."""

    def __init__(self, rules: Rules, *, seed: str, boot: str, next_run_id: RunId) -> None:
        self._register = Register()
        self.tree = Tree(rules.root, self.slots_of, seed)
        self.rules = rules
        self.ending: Ending | None = None
        self._boot = boot
        self._context = Context(seed=seed, ids=count(next_run_id))
        self._tickets = count()
        self._waiters: list[tuple[datetime, int, SlotId]] = []
        self._jobs: tuple[Job, ...] = ()
        """As the manifest tells them."""
        self._scales = Scales()
        self._offset: datetime | None = None

    # -- taking jobs on ------------------------------------------------------------------------------------------------

    def begin(
        self,
        jobs: Sequence[Job],
        saved: Mapping[SlotId, Saved],
        now: Now,
        lost: Iterable[Closed] = (),
        groups: Sequence[Group] = (),
        saved_groups: Mapping[str, SavedGroup] = MappingProxyType({}),
    ) -> Effects:
        """Take on every job and group, with what an earlier supervisor saved of it; start what shall run.

        ``lost`` are the runs whose end nobody saw; they are tried again only as ``retries`` say.
        """
        effects = Effects()
        self._jobs = tuple(jobs)
        self.tree.reshape(jobs, groups, self.rules.root)
        self.tree.recall(saved_groups, now)
        self._offset = _offset(now)
        ended: dict[SlotId, list[Closed]] = {}
        for row in lost:
            ended.setdefault(replace(row.run.slot, lane=0), []).append(row)
        self._scales.recall(jobs, saved)
        for job in self._scales.scaled(jobs):
            for instance in range(1, job.instances + 1):
                slot_id = SlotId(job.name, instance)
                rows = ended.get(slot_id, [])
                self._take_on(job, instance, with_lost(saved.get(slot_id), rows), now, effects)
                for row in rows[-1:]:
                    self._try_again(slot_id, row, now)
        return self._settled(now, effects)

    def _try_again(self, slot_id: SlotId, row: Closed, now: Now) -> None:
        """Let a lost run of a due time wait for its retry, where it has one left."""
        slot = self.slots[slot_id]
        is_free = isinstance(slot.state, Waiting | Finished | Failed)
        if is_free and slot.is_periodic and row.run.due_at is not None and not slot.paused:
            limit = slot.job.timing.deadline
            deadline_at = None if limit is None else now.mono + limit - (now.wall - row.started_at)
            retry = retry_after(slot, row.run, now, self._context, deadline_at=deadline_at)
            if retry is not None:
                self._put(replace(slot, state=retry))

    def _take_on(self, job: Job, instance: int, saved: Saved | None, now: Now, effects: Effects) -> SlotId:
        if saved is not None and job.group is not None and not self.tree.is_fenced(job.name):
            saved = replace(saved, gave_up=None)  # its group has been started since, or has handed the failure on
        slot = slot_of(job, instance, saved, now)
        known = next((each for each in self.slots_of(job.name) if each.job.target == job.target), slot)
        slot = replace(slot, kind=known.kind, problem=known.problem if known.kind is not None else None)
        unfolded = taken_on(job, saved, now, self._context.seed, self._boot)
        table = unfolded.table if unfolded else None
        slot = replace(slot, boot=self._boot, table=table, scaled=self._scales.of(slot.id))
        if slot.wanted is Wanted.HELD:
            slot, orders = drop_made_up(slot, "stopped by hand", now, self._context)
            effects.actions += orders
            unfolded = replace(unfolded, table=slot.table) if unfolded and slot.table else None
        self._put(slot)
        effects.actions.append(Keep(slot.saved()))
        self._apply(slot.id, Begun(), now, effects)
        if unfolded:
            self._unfold(slot.id, unfolded, Gap.DOWN, now, effects)
        else:
            for due_at in saved.waiting if saved else ():
                self._apply(slot.id, Passed(due_at, Gap.DOWN.value), now, effects)
        return slot.id

    # -- facts ---------------------------------------------------------------------------------------------------------

    def handle(self, fact: EngineFact, now: Now) -> Effects:
        """Answer a fact about a run; one about a run that nobody knows (a second report) is ignored."""
        effects = Effects()
        slot_id = self._register.slot_at(fact.run_id)
        if slot_id is not None:
            self._apply(slot_id, fact, now, effects)
        return self._settled(now, effects)

    def tell(self, slot_ids: Iterable[SlotId], event: Event, now: Now, groups: Sequence[str] = ()) -> Effects:
        """Give an event to some slots, in order; to start, stop and restart also to whole groups.

        What an edited manifest has removed hears no more of anybody: it ends.
        """
        effects = Effects()
        known = [at for at in slot_ids if at in self.slots and self.slots[at].wanted is not Wanted.REMOVED]
        match event:
            case StartRequested():
                self.tree.start(known, groups)
            case StopRequested(cause=cause):
                self.tree.stop(known, groups, cause)
            case RestartRequested(cause=Cause.RESTART):
                self.tree.restart(known, groups)
            case _:
                for slot_id in known:
                    self._tell(slot_id, event, now, effects)
        return self._settled(now, effects)

    def _settled(self, now: Now, effects: Effects) -> Effects:
        """Return the effects with those of every order that the tree has for its slots."""
        self.tree.pump(now)
        while self.tree.orders:
            match self.tree.orders.popleft():
                case Tell(slot=slot_id, event=event):
                    self._tell(slot_id, event, now, effects)
                case EndAll():
                    self._begin_anew(effects)
                    self._shut_down(1, now)
                case Keep() as kept:
                    effects.actions.append(kept)
            self.tree.pump(now)
        effects.notes += self.tree.notes
        self.tree.notes.clear()
        return effects

    def _tell(self, slot_id: SlotId, event: Event, now: Now, effects: Effects) -> None:
        """Give an event to a slot; its lanes hear of stops and pauses too."""
        if slot_id not in self.slots:
            return
        if isinstance(event, StopRequested | PauseRequested):
            for lane in self.lanes(slot_id):
                self._apply(lane, event, now, effects)
        self._apply(slot_id, event, now, effects)

    def trigger(self, slot_id: SlotId, now: Now) -> Effects:
        """Run a scheduled job once by hand, beside its schedule."""
        return self.tell((slot_id,), Due(now.wall, Trigger.MANUAL), now)

    # -- time ----------------------------------------------------------------------------------------------------------

    def deadline(self) -> Mono | None:
        """Return the monotonic instant at which ``advance`` wants to be called; None is never."""
        kill_at = self.ending.kill_at if self.ending else None
        return earliest(self._register.deadlines.first(), kill_at, self.tree.deadline())

    def advance(self, now: Now) -> Effects:
        """Answer the passing of time up to ``now``."""
        effects = Effects()
        self._notice_step(now, effects)
        if self.ending is not None and self.ending.kill_at is not None and self.ending.kill_at <= now.mono:
            self.ending = replace(self.ending, kill_at=None)
            self._end_at_once(now, effects)
        while (slot_id := self._register.deadlines.pop(now.mono)) is not None:
            self._call(self.slots[slot_id], now, effects)
            if slot_id in self.slots:
                self._register.deadlines.set(slot_id, self.slots[slot_id].deadline)
        self.tree.settle(now)
        return self._settled(now, effects)

    def slept(self, now: Now) -> Effects:
        """Answer that the machine was suspended until now: what was due meanwhile was missed."""
        effects = Effects()
        for slot in list(self.slots.values()):
            if slot.table is not None and slot.table.next is not None and slot.table.next.at <= now.mono:
                unfolded = gap(slot.job, slot.table, now, self._context.seed)
                self._unfold(slot.id, unfolded, Gap.ASLEEP, now, effects)
        return self._settled(now, effects)

    def _call(self, slot: Slot, now: Now, effects: Effects) -> None:
        """Give a slot whose deadline has come what it waits for, one thing at a time."""
        table, elapses_at = slot.table, deadline_of(slot.state)
        made_up_at = slot.made_up_at
        if made_up_at is not None and made_up_at <= now.mono and table is not None:
            due, table = make_up(table, now.mono)
            taken = replace(slot, table=table)
            self._put(taken)
            effects.actions += to_save(slot, taken)
            self._apply(slot.id, due, now, effects)
        elif elapses_at is not None and elapses_at <= now.mono:
            self._apply(slot.id, Elapsed(), now, effects)
        elif table is not None:
            unfolded = advance(slot.job, table, now, self._context.seed)
            self._unfold(slot.id, unfolded, Gap.HELD_UP, now, effects)

    def _notice_step(self, now: Now, effects: Effects) -> None:
        offset = _offset(now)
        if self._offset is None:
            self._offset = offset
        by = offset - self._offset
        if abs(by) < STEP:
            return
        self._offset = offset
        effects.notes.append(
            f"the wall clock was set {'back' if by < ZERO else 'forward'} by {format_duration(abs(by))}"
        )
        for slot in list(self.slots.values()):
            if slot.table is not None:
                unfolded = stepped(slot.job, slot.table, by, now, self._context.seed)
                self._unfold(slot.id, unfolded, Gap.STEP, now, effects)

    def _unfold(self, slot_id: SlotId, unfolded: Unfolded, why: Gap, now: Now, effects: Effects) -> None:
        slot = self.slots[slot_id]
        if unfolded.table is not slot.table:
            moved = replace(slot, table=unfolded.table)
            self._put(moved)
            effects.actions += to_save(slot, moved)
        for due_at in unfolded.passed:
            self._apply(slot_id, Passed(due_at, why.value), now, effects)
        if unfolded.due is not None:
            self._apply(slot_id, unfolded.due, now, effects)
        made_up_at = self.slots[slot_id].made_up_at
        if made_up_at is not None and made_up_at <= now.mono:
            self._call(self.slots[slot_id], now, effects)

    # -- a reload ------------------------------------------------------------------------------------------------------

    def edits(self, jobs: Sequence[Job]) -> tuple[Edit, ...]:
        """Return what applying these jobs would do, job by job, in manifest order; removed ones last."""
        return edits(self.slots, self._scales.scaled(jobs))

    def apply(self, jobs: Sequence[Job], now: Now, groups: Sequence[Group] = (), *, at_once: bool = False) -> Effects:
        """Make the board that of an edited manifest; only what changed is touched.

        A scheduled run goes on with its old settings to its end, unless the edit counts ``at_once``.
        """
        self._jobs = tuple(jobs)
        return self._install(self._scales.scaled(jobs), groups, now, at_once=at_once)

    def scale(self, name: str, instances: int, now: Now) -> Effects:
        """Run another number of instances of a job, until its own number in the manifest is edited."""
        job = next((job for job in self._jobs if job.name == name), None)
        if job is None:
            return Effects()  # it is being removed
        self._scales.set(job, instances)
        groups = tuple(self.tree.shape.groups.values())
        return self._install(self._scales.scaled(self._jobs), groups, now, at_once=False)

    def _keep_scales(self, effects: Effects) -> None:
        self._scales.keep_to(self._jobs)
        for slot in [slot for slot in self.slots.values() if slot.scaled != self._scales.of(slot.id)]:
            kept = replace(slot, scaled=self._scales.of(slot.id))
            self._put(kept)
            effects.actions.append(Keep(kept.saved()))

    def _install(self, jobs: Sequence[Job], groups: Sequence[Group], now: Now, *, at_once: bool) -> Effects:
        effects = Effects()
        wanted = {SlotId(job.name, instance): job for job in jobs for instance in range(1, job.instances + 1)}
        removed = [at for at in self.slots if at.lane == 0 and at not in wanted]
        self.tree.stop(removed, (), Cause.REMOVED)
        self._settled(now, effects)
        self.tree.reshape(jobs, groups, self.rules.root)
        self.tree.keep(wanted)
        for slot_id, job in wanted.items():
            slot = self.slots.get(slot_id)
            if slot is None:
                self._take_on(job, slot_id.instance, None, now, effects)
            elif slot.wanted is Wanted.REMOVED:
                self._apply(slot_id, Edited(job), now, effects)
                self._apply(slot_id, StartRequested(), now, effects)
            elif slot.job != job or slot.job.origins != job.origins:
                self._change(slot, Edited(job, at_once), now, effects)
        self._keep_scales(effects)
        self._register.sort({slot_id: place for place, slot_id in enumerate(wanted)})
        return self._settled(now, effects)

    def _change(self, slot: Slot, event: Edited, now: Now, effects: Effects) -> None:
        if event.at_once and effect(slot.job, event.job, slot.kind) not in {Effect.NONE, Effect.LIVE}:
            for lane in self.lanes(slot.id):
                self._apply(lane, RestartRequested(Cause.RELOAD), now, effects)
        self._apply(slot.id, event, now, effects)

    # -- the end -------------------------------------------------------------------------------------------------------

    def shut_down(self, code: int, now: Now) -> Effects:
        """Stop everything under one deadline, groups in their order, side by side. What is held stays held."""
        self._shut_down(code, now)
        return self._settled(now, Effects())

    def _begin_anew(self, effects: Effects) -> None:
        """Have the next supervisor count anew: it is the level above the root group, which has given up."""
        for slot in list(self.slots.values()):
            if not slot.is_lane and (slot.window or slot.streak):
                fresh = replace(slot, window=(), streak=0)
                self._put(fresh)
                effects.actions.append(Keep(fresh.saved()))

    def _shut_down(self, code: int, now: Now) -> None:
        if self.ending is not None:
            return
        timeout = self.rules.stop_timeout
        self.ending = Ending(None if timeout is None else now.mono + timeout, code)
        self.tree.shut_down([at for at, slot in self.slots.items() if slot.wanted is Wanted.UP and not slot.is_lane])

    def _end_at_once(self, now: Now, effects: Effects) -> None:
        """Kill everything; also what has not been asked to stop yet ends because it was asked."""
        for slot_id, slot in list(self.slots.items()):
            if slot.wanted is Wanted.UP:
                self._apply(slot_id, StopRequested(Cause.SHUTDOWN), now, effects)
        effects.actions += [Kill(process.run.run_id, dump=True) for process in self._register.processes]

    def kill_all(self) -> Effects:
        """End every process now."""
        return Effects([Kill(process.run.run_id) for process in self._register.processes])

    @property
    def is_at_rest(self) -> bool:
        """True when no process runs or is on its way."""
        return not self._register.restless

    # -- looking -------------------------------------------------------------------------------------------------------

    @property
    def slots(self) -> Mapping[SlotId, Slot]:
        """All slots, in manifest order."""
        return self._register.slots

    def slots_of(self, job: str) -> list[Slot]:
        """Return the instances of a job."""
        return self._register.slots_of(job)

    def lanes(self, slot_id: SlotId) -> tuple[SlotId, ...]:
        """Return the runs beside a slot's own."""
        return self._register.lanes(slot_id)

    def runs_of(self, run_id: RunId) -> tuple[RunId, ...]:
        """Return the runs that are in progress in the process of a run: its own, and a Worker's tick."""
        return self._register.runs_of(run_id)

    @property
    def _has_room(self) -> bool:
        return self.rules.max_running is None or self._register.busy < self.rules.max_running

    # -- as a value ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> BoardSnapshot:
        """Return everything that this board knows, between two facts."""
        following = next(self._context.ids)
        self._context.ids = count(following)
        return BoardSnapshot(
            seed=self._context.seed,
            boot=self._boot,
            next_run_id=following,
            slots=tuple(self.slots.values()),
            jobs=self._jobs,
            scaled=dict(self._scales.wanted),
            blocked=tuple((due_at, slot_id) for due_at, _, slot_id in sorted(self._waiters)),
            offset=self._offset,
            kill_at=self.ending.kill_at if self.ending else None,
            exit_code=self.ending.code if self.ending else None,
            tree=self.tree.snapshot(),
        )

    @classmethod
    def restored(cls, snapshot: BoardSnapshot, rules: Rules) -> "Board":
        """Return a board that goes on where another one stood."""
        self = cls(rules, seed=snapshot.seed, boot=snapshot.boot, next_run_id=snapshot.next_run_id)
        self._jobs, self._scales.wanted, self._offset = snapshot.jobs, dict(snapshot.scaled), snapshot.offset
        if snapshot.exit_code is not None:
            self.ending = Ending(snapshot.kill_at, snapshot.exit_code)
        for slot in snapshot.slots:
            self._register.put(slot)
        self._waiters = [(due_at, next(self._tickets), slot_id) for due_at, slot_id in snapshot.blocked]
        self.tree.restore(snapshot.tree, snapshot.jobs)
        return self

    # -- the one way in ------------------------------------------------------------------------------------------------

    def _apply(self, slot_id: SlotId, event: Event, now: Now, effects: Effects) -> None:
        before = self.slots[slot_id]
        if isinstance(event, Due) and event.trigger is not Trigger.MANUAL:
            for lane in self.lanes(slot_id):
                self._apply(lane, Superseded(), now, effects)
        self._context.room = self._has_room
        self._context.cleared = self.tree.admits(event.job if isinstance(event, Edited) else before.job)
        after, actions = step(before, event, now, self._context)
        if after is not before:
            self._put(after)
            effects.changes.append(Change(before=before, after=after, event=event, at=now))
        if isinstance(after.state, Blocked) and after.state is not before.state:
            due_at = after.state.run.due_at
            assert due_at is not None
            heappush(self._waiters, (due_at, next(self._tickets), slot_id))
        for action in actions:
            self._order(slot_id, action, now, effects)
        if is_at_rest(after.state):
            self._clear(after, now, effects)
        elif slot_id.lane and after.state is not before.state:
            self._count_lanes(replace(slot_id, lane=0), now, effects)
        self._admit(now, effects)

    def _order(self, slot_id: SlotId, action: Action, now: Now, effects: Effects) -> None:
        match action:
            case Beside(run=run):
                self._open_lane(slot_id, run.due_at, run.trigger, now, effects)
            case Escalate(slot=failed):
                self.tree.job_gave_up(failed, now)
            case Fall(slot=fallen):
                self.tree.fell(fallen)
            case Keep(record=(Opened() | Closed()) as row) if slot_id.lane:
                effects.actions.append(action)
                self._count_run(replace(slot_id, lane=0), row, now, effects)
            case _:
                effects.actions.append(action)

    def _open_lane(
        self, slot_id: SlotId, due_at: datetime | None, trigger: Trigger, now: Now, effects: Effects
    ) -> None:
        assert due_at is not None
        main = self.slots[slot_id]
        lane = next(at for at in (replace(slot_id, lane=n) for n in count(1)) if at not in self.slots)
        self._put(Slot(id=lane, job=main.job, state=Waiting(now), kind=main.kind))
        self._apply(lane, Due(due_at, trigger), now, effects)

    def _count_run(self, slot_id: SlotId, row: Opened | Closed, now: Now, effects: Effects) -> None:
        """Let a run in a lane count as one of the slot beside which it runs."""
        main = self.slots.get(slot_id)
        if main is not None:
            tally = main.tally.with_start() if isinstance(row, Opened) else main.tally.with_end(row)
            self._recount(main, with_pause(replace(main, tally=tally)), now, effects)

    def _count_lanes(self, slot_id: SlotId, now: Now, effects: Effects) -> None:
        """Let a slot know what runs beside it, and what would."""
        main = self.slots.get(slot_id)
        if main is not None:
            lanes = [self.slots[lane] for lane in self.lanes(slot_id)]
            beside = tuple(due_at for due_at in (last_due(lane.state) for lane in lanes) if due_at is not None)
            aside = tuple(due_at for due_at in (lane.unrecorded for lane in lanes) if due_at is not None)
            self._recount(main, replace(main, beside=beside, aside=aside), now, effects)

    def _recount(self, main: Slot, counted: Slot, now: Now, effects: Effects) -> None:
        self._put(counted)
        effects.actions += to_save(main, counted)
        effects.changes.append(Change(before=main, after=counted, event=Elapsed(), at=now))

    def _clear(self, slot: Slot, now: Now, effects: Effects) -> None:
        """Forget a lane that has done its run, and a job that is removed."""
        if slot.is_lane:
            self._register.forget(slot.id)
            main_id = replace(slot.id, lane=0)
            self._count_lanes(main_id, now, effects)
            main = self.slots.get(main_id)
            if main is not None and is_at_rest(main.state):
                self._clear(main, now, effects)
        elif slot.wanted is Wanted.REMOVED and isinstance(slot.state, Stopped) and not slot.beside:
            self._register.forget(slot.id)
            effects.actions.append(Keep(Forgotten(slot=slot.id)))

    def _admit(self, now: Now, effects: Effects) -> None:
        while self._waiters and self._has_room:
            _, _, slot_id = heappop(self._waiters)
            slot = self.slots.get(slot_id)
            if slot is not None and isinstance(slot.state, Blocked):
                self._apply(slot_id, Admitted(), now, effects)

    def _put(self, slot: Slot) -> None:
        before = self._register.put(slot)
        if not slot.is_lane and self.tree.concerns(slot.id):
            self.tree.noticed(before, slot)


def _offset(now: Now) -> datetime:
    """Return the wall instant of monotonic zero: it moves only when the wall clock is set."""
    return now.wall - now.mono
