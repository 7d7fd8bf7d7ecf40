"""What all slots share: their groups, ``max_running``, clock steps, shutdown. Facts go in, orders and changes come out.

Nothing is done here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from types import MappingProxyType

from supervisor.core.actions import Keep, Kill
from supervisor.core.clockwork import STEP, call, offset_of, set_clock, unfold, wake
from supervisor.core.differences import Effect, effect
from supervisor.core.edits import Edit, edits
from supervisor.core.effects import Effects
from supervisor.core.ending import retry_after
from supervisor.core.events import (
    Begun,
    Cause,
    Due,
    Edited,
    EngineFact,
    Event,
    Passed,
    PauseRequested,
    RestartRequested,
    StartRequested,
    StopRequested,
)
from supervisor.core.instants import Mono, Now
from supervisor.core.job import Job, Limit
from supervisor.core.register import Register
from supervisor.core.rows import drop_made_up
from supervisor.core.runs import Closed, RunId, Saved, SavedGroup, SlotId, Trigger
from supervisor.core.scales import Scales
from supervisor.core.slot import Context, Slot, slot_of, with_lost
from supervisor.core.snapshot import BoardSnapshot
from supervisor.core.states import (
    Failed,
    Finished,
    Waiting,
    Wanted,
    earliest,
)
from supervisor.core.switchboard import Switchboard
from supervisor.core.timetable import Gap, taken_on
from supervisor.core.tree.group import Group
from supervisor.core.tree.orders import EndAll, Tell
from supervisor.core.tree.tree import Tree
from supervisor.values import dataclass, replace


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
        self._context = Context(seed=seed, ids=count(next_run_id))
        self.tree = Tree(rules.root, self.slots_of, seed)
        self._rules = rules
        self._switchboard = Switchboard(self._register, self.tree, self._context, rules.max_running)
        self.ending: Ending | None = None
        self._boot = boot
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
        self._offset = offset_of(now)
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
                self._switchboard.put(replace(slot, state=retry))

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
        self._switchboard.put(slot)
        effects.actions.append(Keep(slot.saved()))
        self._switchboard.apply(slot.id, Begun(), now, effects)
        if unfolded:
            unfold(self._switchboard, slot.id, unfolded, Gap.DOWN, now, effects)
        else:
            for due_at in saved.waiting if saved else ():
                self._switchboard.apply(slot.id, Passed(due_at, Gap.DOWN.value), now, effects)
        return slot.id

    # -- facts ---------------------------------------------------------------------------------------------------------

    def handle(self, fact: EngineFact, now: Now) -> Effects:
        """Answer a fact about a run; one about a run that nobody knows (a second report) is ignored."""
        effects = Effects()
        slot_id = self._register.slot_at(fact.run_id)
        if slot_id is not None:
            self._switchboard.apply(slot_id, fact, now, effects)
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
                self._switchboard.apply(lane, event, now, effects)
        self._switchboard.apply(slot_id, event, now, effects)

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
        by = offset_of(now) - (self._offset or offset_of(now))
        if abs(by) >= STEP:
            self._offset = offset_of(now)
            set_clock(self._switchboard, by, now, effects)
        if self.ending is not None and self.ending.kill_at is not None and self.ending.kill_at <= now.mono:
            self.ending = replace(self.ending, kill_at=None)
            self._end_at_once(now, effects)
        while (slot_id := self._register.deadlines.pop(now.mono)) is not None:
            call(self._switchboard, self.slots[slot_id], now, effects)
            if slot_id in self.slots:
                self._register.deadlines.set(slot_id, self.slots[slot_id].deadline)
        self.tree.settle(now)
        return self._settled(now, effects)

    def slept(self, now: Now) -> Effects:
        """Answer that the machine was suspended until now: what was due meanwhile was missed."""
        effects = Effects()
        wake(self._switchboard, now, effects)
        return self._settled(now, effects)

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
            self._switchboard.put(kept)
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
                self._switchboard.apply(slot_id, Edited(job), now, effects)
                self._switchboard.apply(slot_id, StartRequested(), now, effects)
            elif slot.job != job or slot.job.origins != job.origins:
                self._change(slot, Edited(job, at_once), now, effects)
        self._keep_scales(effects)
        self._switchboard.admit(now, effects)
        self._register.sort({slot_id: place for place, slot_id in enumerate(wanted)})
        return self._settled(now, effects)

    def _change(self, slot: Slot, event: Edited, now: Now, effects: Effects) -> None:
        if event.at_once and effect(slot.job, event.job, slot.kind) not in {Effect.NONE, Effect.LIVE}:
            for lane in self.lanes(slot.id):
                self._switchboard.apply(lane, RestartRequested(Cause.RELOAD), now, effects)
        self._switchboard.apply(slot.id, event, now, effects)

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
                self._switchboard.put(fresh)
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
                self._switchboard.apply(slot_id, StopRequested(Cause.SHUTDOWN), now, effects)
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
    def rules(self) -> Rules:
        """What holds for all jobs together; other rules count from when they are set."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules = rules
        self._switchboard.max_running = rules.max_running

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
            blocked=tuple((due_at, slot_id) for due_at, _, slot_id in sorted(self._switchboard.waiters)),
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
        for due_at, slot_id in snapshot.blocked:
            self._switchboard.wait(slot_id, due_at)
        self.tree.restore(snapshot.tree, snapshot.jobs)
        return self
