"""A whole board as one value, between two facts: what it is made of again, in this process or after an exec.

Deadlines stand as they are: the monotonic clock goes on for as long as the machine does. Who has to survive a boot is
in ``Saved``.
"""

from collections.abc import Mapping
from datetime import datetime

from supervisor.core.events import Cause
from supervisor.core.instants import Mono, Now
from supervisor.core.job import Job
from supervisor.core.runs import RunId, Scaled, SlotId
from supervisor.core.slot import Slot
from supervisor.core.tree.group import Group
from supervisor.core.tree.phase import Branch
from supervisor.values import dataclass

Node = tuple[str, bool]
"""A job; or a group at the begin of its stop (False) and at the end (True)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentSnapshot:
    """A stop of several slots that is under way."""

    cause: Cause
    group: str | None
    left: tuple[SlotId, ...]
    asked: frozenset[str]
    order: tuple[tuple[Node, tuple[Node, ...]], ...]
    """What is not done yet, each with what has to be done before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsSnapshot:
    """All stops of several slots that are under way."""

    descents: tuple[DescentSnapshot, ...]
    waiting: tuple[tuple[SlotId, tuple[int, ...]], ...]
    """The descents, by their places, that wait for a slot."""
    of_groups: tuple[tuple[str, int], ...]
    """The descent that a group's lowering waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSnapshot:
    """Where the groups stand."""

    groups: tuple[Group, ...]
    branches: tuple[Branch, ...]
    root_window: tuple[Now, ...]
    is_ending: bool
    fallen: tuple[SlotId, ...]
    stops: StopsSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSnapshot:
    """Everything that a board knows, but for the rules of the manifest."""

    seed: str
    boot: str
    next_run_id: RunId
    slots: tuple[Slot, ...]
    jobs: tuple[Job, ...]
    scaled: Mapping[str, Scaled]
    blocked: tuple[tuple[datetime, SlotId], ...]
    """Who waits for room, in order."""
    offset: datetime | None
    kill_at: Mono | None
    exit_code: int | None
    """None while it is not ending."""
    tree: TreeSnapshot
