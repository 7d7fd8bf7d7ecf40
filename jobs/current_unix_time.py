"""Says the time every so often: the GenServer that re-arms itself, with the supervisor doing the re-arming."""

import time

from supervisor import Worker


class CurrentUnixTime(Worker):
    """Keeps one process; ``tick`` is called at each due time."""

    def tick(self) -> None:
        """Print the current unix timestamp."""
        print(f"Hello, the current unix timestamp is {int(time.time())}")
