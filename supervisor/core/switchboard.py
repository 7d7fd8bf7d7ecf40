"""The one way in which an event reaches a slot, and what it means to those beside it: lanes, room, the tree."""

from datetime import datetime
from heapq import heappop, heappush
from itertools import count

from supervisor.core.actions import Action, Beside, Escalate, Fall, Keep
from supervisor.core.effects import Change, Effects
from supervisor.core.ending import with_pause
from supervisor.core.events import Admitted, Due, Edited, Elapsed, Event, Superseded
from supervisor.core.instants import Now
from supervisor.core.lifecycle import step
from supervisor.core.register import Register
from supervisor.core.runs import Closed, Forgotten, Opened, SlotId, Trigger
from supervisor.core.slot import Context, Slot, to_save
from supervisor.core.states import Blocked, Stopped, Waiting, Wanted, is_at_rest, last_due
from supervisor.core.tree.tree import Tree
from supervisor.values import replace


class Switchboard:
    """Hands events to slots, and takes what follows from each."""

    def __init__(self, register: Register, tree: Tree, context: Context, max_running: int | None) -> None:
        self.register = register
        self.tree = tree
        self.context = context
        self.max_running = max_running
        self.waiters: list[tuple[datetime, int, SlotId]] = []
        """A heap of those that ``max_running`` leaves no room, by due time."""
        self._tickets = count()

    def apply(self, slot_id: SlotId, event: Event, now: Now, effects: Effects) -> None:
        """Give an event to a slot, and to others what follows from it for them."""
        before = self.register.slots[slot_id]
        if isinstance(event, Due) and event.trigger is not Trigger.MANUAL:
            for lane in self.register.lanes(slot_id):
                self.apply(lane, Superseded(), now, effects)
        self.context.room = self._has_room
        self.context.cleared = self.tree.admits(event.job if isinstance(event, Edited) else before.job)
        after, actions = step(before, event, now, self.context)
        if after is not before:
            self.put(after)
            effects.changes.append(Change(before=before, after=after, event=event, at=now))
        if isinstance(after.state, Blocked) and after.state is not before.state:
            self.wait(slot_id, after.state.run.due_at)
        for action in actions:
            self._order(slot_id, action, now, effects)
        if is_at_rest(after.state):
            self._clear(after, now, effects)
        elif slot_id.lane and after.state is not before.state:
            self._count_lanes(replace(slot_id, lane=0), now, effects)
        self.admit(now, effects)

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
        main = self.register.slots[slot_id]
        lane = next(at for at in (replace(slot_id, lane=n) for n in count(1)) if at not in self.register.slots)
        self.put(Slot(id=lane, job=main.job, state=Waiting(now), kind=main.kind))
        self.apply(lane, Due(due_at, trigger), now, effects)

    def _count_run(self, slot_id: SlotId, row: Opened | Closed, now: Now, effects: Effects) -> None:
        """Let a run in a lane count as one of the slot beside which it runs."""
        main = self.register.slots.get(slot_id)
        if main is not None:
            tally = main.tally.with_start() if isinstance(row, Opened) else main.tally.with_end(row)
            self._recount(main, with_pause(replace(main, tally=tally)), now, effects)

    def _count_lanes(self, slot_id: SlotId, now: Now, effects: Effects) -> None:
        """Let a slot know what runs beside it, and what would."""
        main = self.register.slots.get(slot_id)
        if main is not None:
            lanes = [self.register.slots[lane] for lane in self.register.lanes(slot_id)]
            beside = tuple(due_at for due_at in (last_due(lane.state) for lane in lanes) if due_at is not None)
            aside = tuple(due_at for due_at in (lane.unrecorded for lane in lanes) if due_at is not None)
            self._recount(main, replace(main, beside=beside, aside=aside), now, effects)

    def _recount(self, main: Slot, counted: Slot, now: Now, effects: Effects) -> None:
        self.put(counted)
        effects.actions += to_save(main, counted)
        effects.changes.append(Change(before=main, after=counted, event=Elapsed(), at=now))

    def _clear(self, slot: Slot, now: Now, effects: Effects) -> None:
        """Forget a lane that has done its run, and a job that is removed."""
        if slot.is_lane:
            self.register.forget(slot.id)
            main_id = replace(slot.id, lane=0)
            self._count_lanes(main_id, now, effects)
            main = self.register.slots.get(main_id)
            if main is not None and is_at_rest(main.state):
                self._clear(main, now, effects)
        elif slot.wanted is Wanted.REMOVED and isinstance(slot.state, Stopped) and not slot.beside:
            self.register.forget(slot.id)
            effects.actions.append(Keep(Forgotten(slot=slot.id)))

    def admit(self, now: Now, effects: Effects) -> None:
        """Start those that waited for room, as far as there is any."""
        while self.waiters and self._has_room:
            _, _, slot_id = heappop(self.waiters)
            slot = self.register.slots.get(slot_id)
            if slot is not None and isinstance(slot.state, Blocked):
                self.apply(slot_id, Admitted(), now, effects)

    def wait(self, slot_id: SlotId, due_at: datetime | None) -> None:
        """Let a slot wait for room; those whose due time came first have it first."""
        assert due_at is not None
        heappush(self.waiters, (due_at, next(self._tickets), slot_id))

    def put(self, slot: Slot) -> None:
        """Put a slot in the place of the one that had its id."""
        before = self.register.put(slot)
        if not slot.is_lane and self.tree.concerns(slot.id):
            self.tree.noticed(before, slot)

    @property
    def _has_room(self) -> bool:
        return self.max_running is None or self.register.busy < self.max_running
