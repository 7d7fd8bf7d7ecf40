"""Says the time every hour, as the GenServer of the Phoenix example does that sends itself ``:tick``.

There ``Process.send_after`` re-arms the timer after each tick. Here the supervisor calls ``tick`` at each due time, so
the grid does not drift, and a tick that raises ends this process alone, which is then started again.
"""

import time

from supervisor import Worker


class CurrentUnixTime(Worker):
    """Keeps one process, and its state, between ticks."""

    def tick(self) -> None:
        """Print the current unix timestamp."""
        print(f"Hello, the current unix timestamp is {int(time.time())}")
