"""The root group: the parent of all that has no other. It restarts what escalates to it, or ends it all."""

from supervisor.core.instants import Now
from supervisor.core.job import Limit
from supervisor.core.policy import charge


class Root:
    """The limit of ``[supervisor]``, and what it has counted. The next supervisor counts anew: it is the next level."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.window: tuple[Now, ...] = ()
        """Instants of the restarts that the limit still counts."""

    def allows(self, now: Now) -> bool:
        """Charge a restart, and tell whether the limit allows it."""
        filled = charge(self.window, self.limit, now)
        if filled is None:
            return False
        self.window = filled
        return True
