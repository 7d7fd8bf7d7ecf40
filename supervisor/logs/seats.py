"""Numbers of the pipes that are open at once, as small as they can be: the accounts of a ledger stand at them."""

import heapq
from collections.abc import Iterable


class Seats:
    """Numbers from 0 on."""

    def __init__(self, taken: Iterable[int] = ()) -> None:
        """Take those that are in use."""
        used = set(taken)
        self._end = max(used, default=-1) + 1
        self._free = [seat for seat in range(self._end) if seat not in used]

    def take(self) -> int:
        """Return the smallest number that nobody has, and keep it from others."""
        if self._free:
            return heapq.heappop(self._free)
        self._end += 1
        return self._end - 1

    def free(self, seat: int) -> None:
        """Give a number back."""
        heapq.heappush(self._free, seat)
