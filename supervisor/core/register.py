"""All slots, found by id, by run, by job and by deadline; and how many of them are at work.

Deadlines stand in a heap: an event costs O(log jobs), a quiet second costs nothing. An entry whose slot has moved on is
thrown away when it comes up, or put where the slot's deadline is by then: one that is put off again and again, as a
heartbeat does, adds nothing.
"""

from collections.abc import Mapping

from supervisor.core.deadlines import Deadlines
from supervisor.core.job import Command, Job
from supervisor.core.runs import RunId, SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import (
    Process,
    Recording,
    Running,
    Starting,
    State,
    Stopping,
    Ticking,
    is_at_rest,
    process_of,
)
from supervisor.values import replace


class Register:
    """The slots of a board."""

    def __init__(self) -> None:
        self.slots: dict[SlotId, Slot] = {}
        self.deadlines = Deadlines[SlotId]()
        """When each slot wants to be looked at."""
        self.busy = 0
        """Runs of due times that are active."""
        self.restless = 0
        """Slots with a process, or one on its way."""
        self._by_run: dict[RunId, SlotId] = {}
        self._instances: dict[str, list[SlotId]] = {}
        """By job, without lanes."""
        self._lanes: dict[SlotId, list[SlotId]] = {}
        """The lanes beside each slot that has any."""

    def put(self, slot: Slot) -> Slot:
        """Put a slot in the place of the one that had its id; return that, or nobody."""
        before = self.slots.get(slot.id, NOBODY)
        self.slots[slot.id] = slot
        if before is NOBODY:
            self._kin(slot.id).append(slot.id)
        if slot.state is not before.state:
            self.busy += _is_busy(slot.state) - _is_busy(before.state)
            self.restless += is_at_rest(before.state) - is_at_rest(slot.state)
            for run_id in _runs_of(before.state):
                self._by_run.pop(run_id, None)
            for run_id in _runs_of(slot.state):
                self._by_run[run_id] = slot.id
        self.deadlines.set(slot.id, slot.deadline)
        return before

    def forget(self, slot_id: SlotId) -> None:
        """Take a slot out."""
        del self.slots[slot_id]
        self._kin(slot_id).remove(slot_id)
        self.deadlines.set(slot_id, None)

    def _kin(self, slot_id: SlotId) -> list[SlotId]:
        """Return the list in which a slot stands: of its job's instances, or of the lanes beside one."""
        if slot_id.lane:
            return self._lanes.setdefault(replace(slot_id, lane=0), [])
        return self._instances.setdefault(slot_id.job, [])

    def sort(self, places: Mapping[SlotId, int]) -> None:
        """Let the slots stand in this order, each with its lanes; those without a place last."""
        last = len(places)
        self.slots = dict(sorted(self.slots.items(), key=lambda at: places.get(replace(at[0], lane=0), last)))

    def slots_of(self, job: str) -> list[Slot]:
        """Return the instances of a job."""
        return [self.slots[slot_id] for slot_id in self._instances.get(job, ())]

    def lanes(self, slot_id: SlotId) -> tuple[SlotId, ...]:
        """Return the runs beside a slot's own."""
        return tuple(self._lanes.get(slot_id, ()))

    def slot_at(self, run_id: RunId) -> SlotId | None:
        """Return the slot that a run is of; None where nobody knows it (any more)."""
        return self._by_run.get(run_id)

    def runs_of(self, run_id: RunId) -> tuple[RunId, ...]:
        """Return the runs that are in progress in the process of a run: its own, and a Worker's tick."""
        slot = self.slots.get(self._by_run.get(run_id, NOBODY.id))
        match slot.state if slot is not None else None:
            case Ticking(tick=tick) | Stopping(tick=Ticking(tick=tick)):
                return run_id, tick.run_id
        return (run_id,)

    @property
    def processes(self) -> list[Process]:
        """All processes that run or are on their way."""
        return [at for at in (process_of(slot.state) for slot in self.slots.values()) if at is not None]


NOBODY = Slot(id=SlotId(""), job=Job(name="", target=Command(argv=())))
"""Stands for a slot that is not on the board."""


def _is_busy(state: State) -> bool:
    """Tell whether a state takes one of ``max_running`` places: the run of a due time is active."""
    match state:
        case Ticking():
            return True
        case Recording(run=run):
            return run.due_at is not None
        case Starting(process=process) | Running(process=process):
            return process.run.due_at is not None
        case Stopping(process=process, tick=tick):
            return tick is not None or process.run.due_at is not None
    return False


def _runs_of(state: State) -> tuple[RunId, ...]:
    """Return the run ids by which facts about a state come in."""
    process = process_of(state)
    own = (process.run.run_id,) if process is not None else ()
    return (state.run.run_id, *own) if isinstance(state, Recording) else own
