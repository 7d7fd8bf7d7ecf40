"""Records that wait for the disk; what waits for a sick one is bounded: the oldest go, never memory without end."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from supervisor.core.runs import (
    Closed,
    Dumped,
    Finalized,
    Forgotten,
    ForgottenGroup,
    NotRun,
    Opened,
    Printed,
    Record,
    RunId,
    Saved,
    SavedGroup,
    SlotId,
)
from supervisor.values import dataclass, field, replace

CAPACITY = 10_000
"""Records of runs that wait at most for a disk that takes none. One that is well takes however many come at once: the
due times that an absence has missed."""

Row = Opened | Closed | NotRun | Finalized | Printed | Dumped


@dataclass(slots=True)
class Backlog:
    """Waiting records in the order they came, and the run ids whose rows somebody waits for.

    Of the saved states of a slot or group only the newest waits, so there are never more than of these. What is taken
    together is written in one transaction, so their order among the rows means nothing.
    """

    capacity: int = CAPACITY
    rows: deque[Row] = field(default_factory=deque)
    slots: dict[SlotId, Saved | Forgotten] = field(default_factory=dict)
    groups: dict[str, SavedGroup | ForgottenGroup] = field(default_factory=dict)
    acks: dict[RunId, None] = field(default_factory=dict)
    dropped: int = 0
    """Rows given up for lack of room."""

    def __len__(self) -> int:
        return len(self.rows) + len(self.slots) + len(self.groups)

    def __iter__(self) -> Iterator[Record]:
        yield from self.rows
        yield from self.slots.values()
        yield from self.groups.values()

    def put(self, records: Sequence[Record], acks: Iterable[RunId]) -> None:
        """Add records; ``acks`` are run ids of the ``Opened`` among them that are told once they are on disk."""
        for record in records:
            match record:
                case Saved() | Forgotten():
                    self.slots[record.slot] = record
                case SavedGroup() | ForgottenGroup():
                    self.groups[record.group] = record
                case _:
                    self.rows.append(record)
        self.acks |= dict.fromkeys(acks)

    def take(self) -> "Backlog":
        """Return everything that waits, and be empty."""
        taken = replace(self)
        self.rows, self.slots, self.groups, self.acks = deque(), {}, {}, {}
        return taken

    def put_back(self, taken: "Backlog") -> None:
        """Put what could not be written before what has come since."""
        self.rows.extendleft(reversed(taken.rows))
        self.slots = taken.slots | self.slots
        self.groups = taken.groups | self.groups
        self.acks = taken.acks | self.acks
        self.make_room()

    def make_room(self) -> None:
        """Drop the oldest rows of those that are too many for a disk that takes none."""
        while len(self.rows) > self.capacity:
            oldest = self.rows.popleft()
            self.dropped += 1
            if isinstance(oldest, Opened):
                self.acks.pop(oldest.run.run_id, None)
