"""The order of stopping: a job is asked when all that was started after it, and may count on it, is down."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter

from supervisor.core.events import Cause, Event, RestartRequested, StopRequested
from supervisor.core.runs import SlotId
from supervisor.core.snapshot import DescentSnapshot, Node
from supervisor.core.tree.shape import Shape


class Descent:
    """Some slots that are stopped in reverse start order, unrelated ones side by side."""

    def __init__(self, slots: Iterable[SlotId], shape: Shape, cause: Cause, group: str | None = None) -> None:
        """Plan it; ``group`` is the one whose members these are, where it is one group's."""
        self._begin(slots, cause, group)
        self._order: dict[Node, set[Node]] = {}
        present: dict[str, set[int]] = {}
        for job in self._left:
            self._add((job, False), *((each, False) for each in shape.dependents.get(job, ()) if each in self._left))
            for place in shape.places_of(job):
                present.setdefault(place.group, set()).add(place.index)
        for name, indices in present.items():
            self._chain(name, [shape.members[name][index] for index in sorted(indices, reverse=True)], shape)
        self._sorter = _sorted(self._order)

    def _begin(self, slots: Iterable[SlotId], cause: Cause, group: str | None) -> None:
        self.cause = cause
        self.group = group
        self.event: Event = RestartRequested(cause) if cause is Cause.RESTART else StopRequested(cause)
        """What each slot is told at its turn."""
        self._left: dict[str, dict[SlotId, None]] = {}
        for slot_id in slots:
            self._left.setdefault(slot_id.job, {})[slot_id] = None
        self._asked: set[str] = set()
        self._done: set[Node] = set()

    def _add(self, node: Node, *before: Node) -> None:
        self._order.setdefault(node, set()).update(before)
        for each in before:
            self._order.setdefault(each, set())

    def _chain(self, group: str, members: list[str], shape: Shape) -> None:
        before: Node = (group, False)
        for member in members:
            self._add((member, False), before)
            before = (member, member in shape.groups)
        self._add((group, True), before)

    def snapshot(self) -> DescentSnapshot:
        """Return it as it stands."""
        left = {node: before - self._done for node, before in self._order.items() if node not in self._done}
        return DescentSnapshot(
            cause=self.cause,
            group=self.group,
            left=tuple(self.slots),
            asked=frozenset(self._asked & self._left.keys()),
            order=tuple((node, tuple(sorted(before))) for node, before in left.items()),
        )

    @classmethod
    def restored(cls, snapshot: DescentSnapshot) -> "Descent":
        """Return a descent that stands where another one stood; those that it had asked are not asked again."""
        self = cls.__new__(cls)
        self._begin(snapshot.left, snapshot.cause, snapshot.group)
        self._order = {node: set(before) for node, before in snapshot.order}
        self._sorter = _sorted(self._order)
        for job, is_end in self._sorter.get_ready():
            assert not is_end
            assert job in snapshot.asked
            self._asked.add(job)
        return self

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
                    self._finish((job, is_end))

    def went_down(self, slot_id: SlotId) -> None:
        """Note that a slot is down, by its turn or before it."""
        job = slot_id.job
        left = self._left.get(job, {})
        left.pop(slot_id, None)
        if job in self._asked and job in self._left and not left:
            del self._left[job]
            self._finish((job, False))

    def _finish(self, node: Node) -> None:
        self._done.add(node)
        self._sorter.done(node)


def _sorted(order: Mapping[Node, Iterable[Node]]) -> TopologicalSorter[Node]:
    sorter = TopologicalSorter(order)
    sorter.prepare()
    return sorter
