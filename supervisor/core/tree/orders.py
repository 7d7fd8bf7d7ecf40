"""What the tree wants done; the board does it, in order."""

from supervisor.core.actions import Keep
from supervisor.core.events import Event
from supervisor.core.runs import SlotId
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Tell:
    """Give an event to a slot."""

    slot: SlotId
    event: Event


@dataclass(frozen=True, slots=True)
class EndAll:
    """The root group gave up: the supervisor ends with exit code 1."""


Order = Tell | EndAll | Keep
