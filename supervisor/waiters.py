"""Commands that wait: for the change that settles a question about a slot, or for any, to look again."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from supervisor.core.effects import Change
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Barred, Failed, Stopped
from supervisor.core.waits import Verdict, Wait

CALM = 0.1
"""Seconds between two looks of those who look again and again, at least."""
SHARE = 0.2
"""Of the loop's time that all of them together get; the more there are, the more seldom each looks."""


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


class Look:
    """One who looks again and again."""

    def __init__(self, everybody: "set[Look]") -> None:
        self._everybody = everybody
        self._took = 0.0
        self.changed = asyncio.Event()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Take the time of a look."""
        began = time.monotonic()
        yield
        self._took = time.monotonic() - began

    async def again(self, *, unless: "asyncio.Future[Any] | None" = None) -> None:
        """Return when there is something new to be seen and it is this one's turn, or else something is done."""
        await _first(self.changed.wait(), unless)
        await _first(asyncio.sleep(max(CALM, self._took * len(self._everybody) / SHARE)), unless)
        self.changed.clear()


async def _first(wait: Coroutine[Any, Any, object], other: "asyncio.Future[Any] | None") -> None:
    """Wait for one of two."""
    waiting = asyncio.ensure_future(wait)
    try:
        await asyncio.wait((waiting, other) if other is not None else (waiting,), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


class Lookers:
    """Those who look again whenever something has changed."""

    def __init__(self) -> None:
        self._looks: set[Look] = set()
        self.is_over = False
        """Nothing will change any more."""

    @contextmanager
    def looking(self) -> Iterator[Look]:
        """Give what tells of each change as long as the context lasts."""
        look = Look(self._looks)
        self._looks.add(look)
        try:
            yield look
        finally:
            self._looks.discard(look)

    def notice(self, change: Change) -> None:  # noqa: ARG002  # whatever it is
        """Have all of them look again."""
        self.call()

    def call(self) -> None:
        """Have all of them look again."""
        for look in self._looks:
            look.changed.set()

    def close(self) -> None:
        """Have them look for the last time."""
        self.is_over = True
        self.call()
