"""What a reload does, job by job and key by key, as clients are told it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.core.board import Edit
from supervisor.core.differences import Difference, Effect
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Wanted

_CHANGES = {
    Effect.NONE: "unchanged",
    Effect.LIVE: "live",
    Effect.NEXT_RUN: "at next run",
    Effect.RESTART: "restarted",
    Effect.START: "enabled",
    Effect.STOP: "disabled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of each job, and of ``[supervisor]``."""

    jobs: tuple[Edit, ...]
    settings: tuple[Difference, ...]

    def changes(self) -> list[dict[str, Any]]:
        """Return each job with what becomes of it in a word, and its keys that differ."""
        return [{"name": edit.name, "change": _change(edit), "fields": _fields(edit.differences)} for edit in self.jobs]

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


def _change(edit: Edit) -> str:
    if edit.before is None:
        return "added"
    return "removed" if edit.after is None else _CHANGES[edit.effect]


def _fields(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    return [
        {"key": each.key, "before": each.before, "after": each.after, "effect": each.effect.value}
        for each in differences
    ]
