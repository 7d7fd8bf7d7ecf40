"""Commands that wait: for the change that settles a question about a slot, or for any, to look again."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from supervisor.core.effects import Change
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Barred, Failed, Stopped
from supervisor.core.waits import Verdict, Wait


class Waiters:
    """The questions that are still open, by slot."""

    def __init__(self, look: Callable[[SlotId], Slot | None], hindrance: Callable[[Slot], str | None]) -> None:
        """``look`` returns a slot as it is now, ``hindrance`` why a blocked one will not start by itself."""
        self._look = look
        self._hindrance = hindrance
        self._open: defaultdict[SlotId, list[tuple[Wait, asyncio.Future[Verdict]]]] = defaultdict(list)

    async def ask(self, slot: Slot, wait: Wait) -> Verdict:
        """Return the verdict on a slot, now or after the change that brings it."""
        verdict = wait.answer(slot, self._hindrance(slot))
        if verdict is not None:
            return verdict
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        entry = (wait, future)
        self._open[slot.id].append(entry)
        try:
            return await future
        finally:
            self._open[slot.id].remove(entry)
            if not self._open[slot.id]:
                del self._open[slot.id]

    def notice(self, change: Change) -> None:
        """Answer what a changed slot settles; one that has failed may be what blocked ones wait for."""
        slot = change.after
        self._answer(slot)
        if isinstance(slot.state, Backoff | Failed | Stopped):
            for slot_id in list(self._open):
                waiting = self._look(slot_id)
                if waiting is not None and isinstance(waiting.state, Barred):
                    self._answer(waiting)

    def _answer(self, slot: Slot) -> None:
        for wait, future in self._open.get(slot.id, ()):
            verdict = wait.answer(slot, self._hindrance(slot))
            if verdict is not None and not future.done():
                future.set_result(verdict)


class Lookers:
    """Those who look again whenever something has changed: each has an event of its own."""

    def __init__(self) -> None:
        self._events: set[asyncio.Event] = set()
        self.is_over = False
        """Nothing will change any more."""

    @contextmanager
    def looking(self) -> Iterator[asyncio.Event]:
        """Give an event that is set after each change as long as the context lasts; the looker clears it."""
        event = asyncio.Event()
        self._events.add(event)
        try:
            yield event
        finally:
            self._events.discard(event)

    def notice(self, change: Change) -> None:  # noqa: ARG002  # whatever it is
        """Have all of them look again."""
        self.call()

    def call(self) -> None:
        """Have all of them look again."""
        for event in self._events:
            event.set()

    def close(self) -> None:
        """Have them look for the last time."""
        self.is_over = True
        self.call()
