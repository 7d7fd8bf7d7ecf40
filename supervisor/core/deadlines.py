"""Who wants to be looked at when: the earliest is at hand, and one of many is moved in O(log n)."""

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from supervisor.core.instants import Mono

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """A deadline for each of some keys.

    Of each key at most one entry of the heap counts, at its deadline or before it: one that is put off again and again,
    as by heartbeats, does not make it grow.
    """

    def __init__(self) -> None:
        self._at: dict[K, Mono] = {}
        self._queued: dict[K, Mono] = {}
        """By key: the entry that counts."""
        self._heap: list[tuple[Mono, int, K]] = []
        self._tickets = count()

    def set(self, key: K, at: Mono | None) -> None:
        """Give a key a deadline; None takes it away."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._queue(key, at)

    def first(self) -> Mono | None:
        """Return the earliest deadline, whose entry is the first of the heap then; None where there is none."""
        while self._heap:
            queued, _, key = self._heap[0]
            is_own = self._queued.get(key) == queued
            at = self._at.get(key)
            if is_own and at == queued:
                return at
            heappop(self._heap)
            if is_own:
                del self._queued[key]
                if at is not None:
                    self._queue(key, at)
        return None

    def pop(self, now: Mono) -> K | None:
        """Take away the earliest deadline, and return whose it was; None where none has come by ``now``."""
        at = self.first()
        if at is None or at > now:
            return None
        _, _, key = heappop(self._heap)
        del self._at[key], self._queued[key]
        return key

    def items(self) -> tuple[tuple[K, Mono], ...]:
        """Return all deadlines."""
        return tuple(self._at.items())

    def __len__(self) -> int:
        """Return how many entries the heap has."""
        return len(self._heap)

    def _queue(self, key: K, at: Mono) -> None:
        """Put a deadline into the heap, unless an entry before it brings it up anyway."""
        queued = self._queued.get(key)
        if queued is None or at < queued:
            self._queued[key] = at
            heappush(self._heap, (at, next(self._tickets), key))
