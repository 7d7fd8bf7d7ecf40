"""Processes that have become ours though we never started them: reaped when they have ended.

PID 1 of a container is given every orphan in it (what ``docker exec`` leaves, for one), a child subreaper those of its
own helpers. Our own children are reaped by whoever started them, at once, as their pidfds tell; so a child that has
been dead for two looks is a stranger, and nobody has to keep a list.
"""

import asyncio
import os
from contextlib import suppress

from supervisor.engine import containment

LOOK_AGAIN = 1.0
"""Seconds between two looks; there is none but after a child has ended (SIGCHLD)."""


class Strangers:
    """Reaps what nobody else does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dead: set[containment.Kin] = set()
        self._look: asyncio.TimerHandle | None = None

    def notice(self) -> None:
        """A child has ended, ours or not."""
        if self._look is None:
            self._look = self._loop.call_later(LOOK_AGAIN, self._reap)

    def close(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()

    def _reap(self) -> None:
        self._look = None
        seen = map(containment.sight, containment.own_children())
        dead = {each.kin for each in seen if each is not None and each.is_zombie}
        for kin in dead & self._dead:
            with suppress(ChildProcessError):
                os.waitpid(kin.pid, os.WNOHANG)
        self._dead = dead - self._dead
        if self._dead:
            self.notice()
