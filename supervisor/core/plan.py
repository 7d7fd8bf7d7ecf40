"""What a reload does, job by job and key by key, as clients are told it."""

from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.core.differences import Difference, Effect, keeps_process
from supervisor.core.edits import Edit
from supervisor.core.job import Command
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Process, Stopping, Wanted, process_of
from supervisor.values import dataclass

_CHANGES = {
    Effect.NONE: "unchanged",
    Effect.LIVE: "live",
    Effect.NEXT_RUN: "at next run",
    Effect.RESTART: "restarted",
    Effect.START: "enabled",
    Effect.STOP: "disabled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """What fresh code means to one slot that has a process."""

    slot: Slot
    words: str
    is_restarted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of each job, and of ``[supervisor]``."""

    jobs: tuple[Edit, ...]
    settings: tuple[Difference, ...]
    begun: tuple[Slot, ...] = ()
    """The slots that it has begun, or stopped to begin them again."""
    code: tuple[CodeChange, ...] = ()

    def changes(self) -> list[dict[str, Any]]:
        """Return each job with what becomes of it in a word, and its keys that differ."""
        return [{"name": edit.name, "change": _change(edit), "fields": _fields(edit.differences)} for edit in self.jobs]

    def code_changes(self) -> list[dict[str, Any]]:
        """Return each instance that has a process, with what fresh code means to it."""
        return [{"name": each.slot.label, "change": each.words, "restarted": each.is_restarted} for each in self.code]

    def settings_fields(self) -> list[dict[str, Any]]:
        """Return the keys of ``[supervisor]`` that differ."""
        return _fields(self.settings)


def turned(before: Mapping[SlotId, Slot], after: Mapping[SlotId, Slot]) -> tuple[Slot, ...]:
    """Return the slots that a reload has begun, or stopped to begin them again."""
    return tuple(
        slot
        for slot_id, slot in after.items()
        if not slot.is_lane
        and slot.job.enabled
        and slot.wanted is Wanted.UP
        and (slot_id not in before or before[slot_id].state is not slot.state)
    )


def fresh_code(slots: Iterable[Slot], *, at_once: bool = False) -> tuple[CodeChange, ...]:
    """Return what fresh code means to each slot that has a process and is wanted.

    Python that lives on restarts; a scheduled run ends on the old code, unless it shall count ``at_once``.
    """
    return tuple(
        _code_change(slot, process, at_once=at_once)
        for slot in slots
        if (process := process_of(slot.state)) is not None
        and slot.wanted is Wanted.UP
        and not isinstance(slot.state, Stopping)
    )


def _code_change(slot: Slot, process: Process, *, at_once: bool) -> CodeChange:
    if isinstance(process.job.target, Command):
        words = f"not restarted: a command loads its own code; use `jobvisor restart {slot.label}`"
        return CodeChange(slot=slot, words=words)
    if keeps_process(process.job, slot.kind) or at_once:
        return CodeChange(slot=slot, words="restarted with the new code", is_restarted=True)
    return CodeChange(slot=slot, words=f"run {process.run.run_id} ends with the old code")


def _change(edit: Edit) -> str:
    if edit.before is None:
        return "added"
    return "removed" if edit.after is None else _CHANGES[edit.effect]


def _fields(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    return [
        {"key": each.key, "before": each.before, "after": each.after, "effect": each.effect.value}
        for each in differences
    ]
