"""Commands that wait: for the change that settles a question about a slot, or for any, to look again."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from supervisor.core.effects import Change
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Barred, Failed, Stopped
from supervisor.core.waits import Verdict, Wait

CALM = 0.1
"""Seconds between two looks of those who look again and again, at least."""
SHARE = 0.2
"""Of the loop's time that all who look have together; the more there are, the longer each waits for its turn."""
T = TypeVar("T")


class Waiters:
    """The questions that are still open, by slot."""

    def __init__(self, look: Callable[[SlotId], Slot | None], hindrance: Callable[[Slot], str | None]) -> None:
        """``look`` returns a slot as it is now, ``hindrance`` why a blocked one will not start by itself."""
        self._look = look
        self._hindrance = hindrance
        self._open: defaultdict[SlotId, dict[asyncio.Future[Verdict], Wait]] = defaultdict(dict)

    async def ask(self, slot: Slot, wait: Wait) -> Verdict:
        """Return the verdict on a slot, now or after the change that brings it."""
        verdict = wait.answer(slot, self._hindrance(slot))
        if verdict is not None:
            return verdict
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._open[slot.id][future] = wait
        try:
            return await future
        finally:
            del self._open[slot.id][future]
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
        waiting = self._open.get(slot.id)
        if not waiting:
            return
        hindrance = self._hindrance(slot)
        for future, wait in waiting.items():
            verdict = wait.answer(slot, hindrance)
            if verdict is not None and not future.done():
                future.set_result(verdict)


class Lookers:
    """Those who look, and look again whenever something has changed, one at a time."""

    def __init__(self) -> None:
        self._changes: set[asyncio.Event] = set()
        self._turn = asyncio.Lock()
        self.is_over = False
        """Nothing will change any more."""

    async def look(self, at: Callable[[], T]) -> T:
        """Return what is seen, when it is this one's turn: the next one's is after a pause for the rest of the loop."""
        await self._turn.acquire()
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        try:
            return at()
        finally:
            loop.call_later((time.monotonic() - began) * (1 / SHARE - 1), self._turn.release)

    @contextmanager
    def looking(self) -> Iterator[asyncio.Event]:
        """Give an event that is set after each change as long as the context lasts; ``again`` waits for it."""
        changed = asyncio.Event()
        self._changes.add(changed)
        try:
            yield changed
        finally:
            self._changes.discard(changed)

    def notice(self, change: Change) -> None:  # noqa: ARG002  # whatever it is
        """Have all of them look again."""
        self.call()

    def call(self) -> None:
        """Have all of them look again."""
        for changed in self._changes:
            changed.set()

    def close(self) -> None:
        """Have them look for the last time."""
        self.is_over = True
        self.call()


async def again(changed: asyncio.Event, *, unless: "asyncio.Future[Any] | None" = None) -> None:
    """Return when there is something new to be seen, what changes together as one, or something else is done."""
    await _first(changed.wait(), unless)
    await _first(asyncio.sleep(CALM), unless)
    changed.clear()


async def _first(wait: Coroutine[Any, Any, object], other: "asyncio.Future[Any] | None") -> None:
    waiting = asyncio.ensure_future(wait)
    try:
        await asyncio.wait((waiting, other) if other is not None else (waiting,), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
