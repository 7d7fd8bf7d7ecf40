"""The order of stopping: a job is asked when all that was started after it, and may count on it, is down."""

from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter

from supervisor.core.events import Cause, Event, RestartRequested, StopRequested
from supervisor.core.runs import SlotId
from supervisor.core.tree.shape import Shape

_Node = tuple[str, bool]
"""A job; or a group at the begin of its stop (False) and at the end (True)."""


class Descent:
    """Some slots that are stopped in reverse start order, unrelated ones side by side."""

    def __init__(self, slots: Iterable[SlotId], shape: Shape, cause: Cause, group: str | None = None) -> None:
        """Plan it; ``group`` is the one whose members these are, where it is one group's."""
        self.cause = cause
        self.group = group
        self.event: Event = RestartRequested(cause) if cause is Cause.RESTART else StopRequested(cause)
        """What each slot is told at its turn."""
        self._left: dict[str, dict[SlotId, None]] = {}
        for slot_id in slots:
            self._left.setdefault(slot_id.job, {})[slot_id] = None
        self._asked: set[str] = set()
        self._sorter: TopologicalSorter[_Node] = TopologicalSorter()
        present: dict[str, set[int]] = {}
        for job in self._left:
            self._sorter.add(
                (job, False), *((each, False) for each in shape.dependents.get(job, ()) if each in self._left)
            )
            for place in shape.places_of(job):
                present.setdefault(place.group, set()).add(place.index)
        for name, indices in present.items():
            self._chain(name, [shape.members[name][index] for index in sorted(indices, reverse=True)], shape)
        self._sorter.prepare()

    def _chain(self, group: str, members: list[str], shape: Shape) -> None:
        before: _Node = (group, False)
        for member in members:
            self._sorter.add((member, False), before)
            before = (member, member in shape.groups)
        self._sorter.add((group, True), before)

    @property
    def slots(self) -> list[SlotId]:
        """Those that are not down yet."""
        return [slot_id for slots in self._left.values() for slot_id in slots]

    @property
    def is_over(self) -> bool:
        """True when all are down."""
        return not self._left

    def next(self) -> Iterator[SlotId]:
        """Return the slots whose turn has come; each is returned once."""
        while nodes := self._sorter.get_ready():
            for job, is_end in nodes:
                if not is_end and self._left.get(job):
                    self._asked.add(job)
                    yield from tuple(self._left[job])
                else:
                    self._left.pop(job, None)
                    self._sorter.done((job, is_end))

    def went_down(self, slot_id: SlotId) -> None:
        """Note that a slot is down, by its turn or before it."""
        job = slot_id.job
        left = self._left.get(job, {})
        left.pop(slot_id, None)
        if job in self._asked and job in self._left and not left:
            del self._left[job]
            self._sorter.done((job, False))
