"""Why a slot may not start yet, in words: what it waits for, and whether that will come by itself."""

from collections.abc import Iterator

from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Barred, Failed, Stopped
from supervisor.core.tree.phase import Fenced, Lowering, Raised
from supervisor.core.tree.readiness import is_met, releases
from supervisor.core.tree.tree import Tree

_DEEPEST = 20
"""Waits told one after another in one reason."""


def why(tree: Tree, slot: Slot) -> str:
    """Return what a slot waits for."""
    return next((reason for reason, _ in _reasons(tree, slot, _DEEPEST)), "about to start")


def hindrance(tree: Tree, slot: Slot) -> str | None:
    """Return what a slot waits for, where that has failed or needs a hand; None where it may yet come."""
    return next((reason for reason, is_bad in _reasons(tree, slot, _DEEPEST) if is_bad), None)


def _reasons(tree: Tree, slot: Slot, depth: int) -> Iterator[tuple[str, bool]]:
    """Return each reason and whether it will not go away by itself, the outermost group's first."""
    if not isinstance(slot.state, Barred) or depth == 0:
        return
    for place in reversed(list(tree.shape.places_of(slot.id.job))):
        match tree.branches[place.group].phase:
            case Fenced():
                yield f"group {place.group} gave up", True
            case Lowering(first=first) if place.index >= first:
                yield f"group {place.group} starts again", False
            case Raised(upto=upto) if place.index > upto:
                yield _waits_for(tree, tree.shape.members[place.group][upto], depth)
    for name in slot.job.after:
        if not all(map(is_met, tree.look(name))):
            yield _waits_for(tree, name, depth)


def _waits_for(tree: Tree, name: str, depth: int) -> tuple[str, bool]:
    for job in tree.shape.jobs_below(name):
        for slot in tree.look(job):
            if releases(slot, holds=True) and is_met(slot):
                continue
            match slot.state:
                case Failed():
                    return f"waits for {slot.label}, which failed", True
                case Backoff(last=last):
                    return f"waits for {slot.label}, which failed: {last}", True
                case Stopped():
                    return f"waits for {slot.label}, which is stopped by hand", True
            for reason, is_bad in _reasons(tree, slot, depth - 1):
                return f"waits for {slot.label}, which {reason}" if is_bad else f"waits for {slot.label}", is_bad
    return f"waits for {name}", False
