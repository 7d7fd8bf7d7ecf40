"""What is on its way down, and what waits for it: each stop of several is a descent, and a slot may be in many."""

from collections.abc import Callable, Container, Iterable, Sequence

from supervisor.core.events import Cause, Event, HoldRequested
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.snapshot import StopsSnapshot
from supervisor.core.tree.descent import Descent
from supervisor.core.tree.readiness import is_up
from supervisor.core.tree.shape import Shape


class Stops:
    """The descents that are under way."""

    def __init__(
        self,
        look: Callable[[str], Sequence[Slot]],
        tell: Callable[[SlotId, Event], None],
        is_down: Callable[[str], None],
    ) -> None:
        """``look`` returns the instances of a job; ``is_down`` is told of each group whose descent is over."""
        self._look = look
        self._tell = tell
        self._is_down = is_down
        self._waiting: dict[SlotId, list[Descent]] = {}
        """What waits for a slot to be down."""
        self._of_groups: dict[str, Descent] = {}
        """By group: what its lowering waits for."""

    def __contains__(self, slot_id: SlotId) -> bool:
        """Tell whether somebody waits for a slot to be down."""
        return slot_id in self._waiting

    def is_lowering(self, group: str) -> bool:
        """Tell whether members of a group are being stopped."""
        descent = self._of_groups.get(group)
        return descent is not None and not descent.is_over

    def begin(self, slots: Iterable[SlotId], shape: Shape, cause: Cause, group: str | None = None) -> None:
        """Stop some slots in reverse start order; what has no process is told at once.

        A ``group``'s own stop takes the place of the one before it.
        """
        wanted = dict.fromkeys(slots)
        jobs = dict.fromkeys(at.job for at in wanted)
        found = [slot for job in jobs for slot in self._look(job) if slot.id in wanted]
        descent = Descent((slot.id for slot in found if is_up(slot)), shape, cause, group)
        if group is not None:
            self.drop(group)
            self._of_groups[group] = descent
        for slot in reversed(found):
            if is_up(slot):
                self._waiting.setdefault(slot.id, []).append(descent)
                if cause is Cause.STOP:
                    self._tell(slot.id, HoldRequested())
            else:
                self._tell(slot.id, descent.event)
        self._take_turns(descent)

    def drop(self, group: str) -> None:
        """Ask no more slots to stop because of a group."""
        descent = self._of_groups.pop(group, None)
        if descent is not None:
            for slot_id in descent.slots:
                self._waiting[slot_id].remove(descent)

    def keep_to(self, groups: Container[str]) -> None:
        """Drop the stops of all groups but these."""
        for name in [name for name in self._of_groups if name not in groups]:
            self.drop(name)

    def went_down(self, slot_id: SlotId) -> None:
        """Note that a slot is down."""
        self._leave(slot_id, self._waiting.pop(slot_id))

    def spare(self, slot_id: SlotId, cause: Cause) -> None:
        """Take a slot out of the stops for a cause, as it shall run after all."""
        asked = [descent for descent in self._waiting.get(slot_id, ()) if descent.cause is cause]
        if asked:
            self._waiting[slot_id] = [descent for descent in self._waiting[slot_id] if descent not in asked]
            self._leave(slot_id, asked)

    def spare_all(self, slots: Container[SlotId], cause: Cause) -> None:
        """Take every one of these slots out of the stops for a cause."""
        for slot_id in [slot_id for slot_id in self._waiting if slot_id in slots]:
            self.spare(slot_id, cause)

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting.clear()
        self._of_groups.clear()

    def snapshot(self) -> StopsSnapshot:
        """Return them as they stand."""
        waiting = (descent for descents in self._waiting.values() for descent in descents)
        of_groups = {name: descent for name, descent in self._of_groups.items() if not descent.is_over}
        descents = list(dict.fromkeys((*waiting, *of_groups.values())))
        return StopsSnapshot(
            descents=tuple(descent.snapshot() for descent in descents),
            waiting=tuple((slot_id, tuple(map(descents.index, waits))) for slot_id, waits in self._waiting.items()),
            of_groups=tuple((name, descents.index(descent)) for name, descent in of_groups.items()),
        )

    def restore(self, snapshot: StopsSnapshot) -> None:
        """Go on with the descents of another board."""
        descents = [Descent.restored(each) for each in snapshot.descents]
        self._waiting = {slot_id: [descents[place] for place in places] for slot_id, places in snapshot.waiting}
        self._of_groups = {name: descents[place] for name, place in snapshot.of_groups}

    def _leave(self, slot_id: SlotId, descents: Iterable[Descent]) -> None:
        """Let those wait no longer for a slot that waited for it to be down."""
        for descent in descents:
            descent.went_down(slot_id)
            self._take_turns(descent)

    def _take_turns(self, descent: Descent) -> None:
        for slot_id in descent.next():
            self._tell(slot_id, descent.event)
        if descent.is_over and descent.group is not None:
            self._is_down(descent.group)
