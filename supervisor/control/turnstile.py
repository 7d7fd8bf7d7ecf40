"""How many requests begin in one turn of the loop, of all clients together: between turns it serves everything else."""

import asyncio
from collections import deque

AT_ONCE = 2
"""Each costs as much as a look at every job."""


class Turnstile:
    """Lets people through in the order in which they came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._room = AT_ONCE
        self._is_turning = False

    async def passed(self) -> None:
        """Return when there is room: at once where nobody is in a hurry."""
        if not self._room or self._waiting:
            place: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(place)
            await place  # the room was taken for us
        else:
            self._room -= 1
        if not self._is_turning:
            self._is_turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Make room for the next ones; it goes on for as long as somebody has come since."""
        is_idle = self._room == AT_ONCE and not self._waiting
        self._room = AT_ONCE
        while self._room and self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # who waited may have gone
                place.set_result(None)
                self._room -= 1
        self._is_turning = not is_idle
        if self._is_turning:
            self._loop.call_soon(self._turn)
