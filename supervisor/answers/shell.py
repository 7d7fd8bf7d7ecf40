"""What the answers need of the loop, and the slots that a request names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from supervisor.core.board import Board
from supervisor.core.effects import Effects
from supervisor.core.manifest import Manifest
from supervisor.core.names import Unmatched, is_pattern, select
from supervisor.core.runs import RunId, SlotId
from supervisor.core.slot import Slot
from supervisor.core.status import Progress, Vital
from supervisor.core.waits import Verdict
from supervisor.dialogue import Dialogue
from supervisor.errors import ControlError
from supervisor.reloads import Reloads
from supervisor.upgrades import Upgrades
from supervisor.waiters import Lookers, Waiters

MOST_NAMES = 1000
"""In one request: each is held against each job."""


class Shell(Protocol):
    """The loop, as far as the answers go."""

    board: Board
    manifest: Manifest
    waiters: Waiters
    lookers: Lookers
    dialogue: Dialogue
    reloads: Reloads
    upgrades: Upgrades
    started_at: str

    def perform(self, effects: Effects) -> None:
        """Perform what follows from a fact."""

    def vitals(self) -> Mapping[RunId, Vital]:
        """Return CPU and memory by run."""

    def progress(self) -> Mapping[RunId, Progress]:
        """Return how far the runs are that say so, by the run of their process."""

    def warnings(self) -> list[str]:
        """Return what is not as it should be, beside the jobs."""

    def end(self, code: int) -> None:
        """Stop all jobs, then end with this exit code."""

    async def ended(self) -> None:
        """Return when nothing is left but the answer."""

    async def processes(self, slot: Slot) -> dict[str, Any] | None:
        """Return a slot's process and all below it; None where it has none."""

    async def account(self, slot: Slot) -> dict[str, Any] | None:
        """Return what the kernel has counted of a slot's run in its cgroup; None where it has none."""

    async def tail(self, run_id: RunId) -> list[str]:
        """Return the last lines of output of a run."""


def named(board: Board, params: Mapping[str, Any], *, everything: bool = False) -> list[Slot]:
    """Return the slots that a request's names select, those of groups included, in manifest order.

    Raises:
        ControlError: a name means none, or there is none where not ``everything`` is meant then.
    """
    slots = {slot.label: slot for slot in board.slots.values() if not slot.is_lane}
    names = params.get("names") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ControlError(2, '"names" must be a list of strings')
    if len(names) > MOST_NAMES:
        raise ControlError(2, f"{len(names)} names are too many, {MOST_NAMES} are taken; use patterns or groups")
    if not names:
        if everything:
            return list(slots.values())
        raise ControlError(2, "name at least one job")
    tree = board.tree
    groups = {name: tuple(tree.shape.jobs_below(name)) for name in names if name in tree.branches}
    chosen = select(names, tuple(slots), groups, tuple(tree.branches))
    if isinstance(chosen, Unmatched):
        raise ControlError(4, str(chosen))
    return [slots[name] for name in chosen]


def meant(board: Board, slots: Sequence[Slot], names: Sequence[str], applies: Callable[[Slot], bool]) -> Sequence[Slot]:
    """Return the slots to which an order applies, and those that are named themselves.

    Patterns and groups pass over the rest, unless nothing would be left.
    """
    plain = [name for name in names if not is_pattern(name) and name not in board.tree.branches]
    by_name = {slot.id for slot in named(board, {"names": plain})} if plain else set[SlotId]()
    return [slot for slot in slots if applies(slot) or slot.id in by_name] or slots


def line(name: str, verdict: Verdict, output: Sequence[str] = ()) -> dict[str, Any]:
    """Return what came of an order to one job."""
    return {"name": name, "ok": verdict.ok, "message": verdict.message, "output": list(output)}
