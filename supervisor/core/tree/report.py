"""What ``status`` says of each group."""

from collections.abc import Container
from typing import Any

from supervisor.core.instants import Now
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Disabled, Failed, Finished, Stopped
from supervisor.core.status import Health, health
from supervisor.core.tree.phase import Branch, Fenced, Lowering, Raised
from supervisor.core.tree.readiness import is_met
from supervisor.core.tree.tree import Tree


def report_groups(tree: Tree, now: Now, jobs: Container[str] | None = None) -> list[dict[str, Any]]:
    """Return the ``groups`` of ``status --json``, in manifest order: all, or those around some jobs."""
    return [
        _row(tree, branch, now)
        for name, branch in tree.branches.items()
        if jobs is None or any(job in jobs for job in tree.shape.jobs_below(name))
    ]


def _row(tree: Tree, branch: Branch, now: Now) -> dict[str, Any]:
    name = branch.group.name
    slots = [slot for job in tree.shape.jobs_below(name) for slot in tree.look(job)]
    word = group_state(tree, branch, slots)
    return {
        "name": name,
        "state": word,
        "health": _health(word, slots, now).value,
        "restarts": branch.restarts,
    }


def group_state(tree: Tree, branch: Branch, slots: list[Slot]) -> str:
    """Return where a group stands, in a word of the STATE column."""
    match branch.phase:
        case Fenced():
            return "failed"
        case Lowering():
            return "stopping" if tree.is_stopping(branch.group.name) else "backoff"
    enabled = [slot for slot in slots if not isinstance(slot.state, Disabled)]
    if not enabled:
        return "disabled"
    if all(isinstance(slot.state, Stopped) for slot in enabled):
        return "stopped"
    if all(isinstance(slot.state, Finished | Stopped) for slot in enabled):
        return "finished"
    has_risen = branch.phase == Raised(len(tree.shape.members[branch.group.name]))
    if has_risen or all(is_met(slot) or isinstance(slot.state, Failed) for slot in enabled):
        return "running"
    if not tree.is_open(branch.group.name):
        return "blocked"
    return "backoff" if any(isinstance(slot.state, Backoff) for slot in enabled) else "starting"


def _health(word: str, slots: list[Slot], now: Now) -> Health:
    """Return the health of a group: its own, else that of the member that is worst."""
    match word:
        case "failed" | "backoff":
            return Health.FAILING
        case "stopped":
            return Health.STOPPED
    found = {health(slot, now)[0] for slot in slots}
    bad = next((each for each in Health if each in found and not each.is_good), None)
    if bad is not None:
        return bad
    return Health.STARTING if word in {"starting", "blocked"} else Health.OK
