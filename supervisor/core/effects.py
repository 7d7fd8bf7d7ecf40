"""What follows from a fact: orders for the floor below, and the changes that observers are told of."""

from supervisor.core.actions import Action
from supervisor.core.events import Event
from supervisor.core.instants import Now
from supervisor.core.runs import Closed
from supervisor.core.slot import Slot
from supervisor.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A slot went from one value to the next, and why; observers get each."""

    before: Slot
    after: Slot
    event: Event
    at: Now

    @property
    def ended(self) -> Closed | None:
        """The slot's own run that has ended so; of a run beside it its lane tells."""
        row = self.after.tally.last
        is_new = row is not None and row is not self.before.tally.last
        return row if row is not None and is_new and row.run.slot == self.after.id else None


@dataclass(slots=True)
class Effects:
    """What follows from a fact: orders for the floor below, changes for observers, both in order."""

    actions: list[Action] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the supervisor's own log shall say beside the changes."""
