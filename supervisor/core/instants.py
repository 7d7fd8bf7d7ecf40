"""Instants: what time it is, as a value that the shell hands in.

A wall instant is an aware ``datetime`` in UTC; calendars use it. A monotonic instant is a ``timedelta`` since an
arbitrary point (CLOCK_BOOTTIME: it goes on in suspend, it never steps); time-outs and delays use it.
"""

from datetime import datetime, timedelta

from supervisor.values import dataclass

Mono = timedelta
"""A monotonic instant, counted from an arbitrary point of this boot."""

ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks."""

    wall: datetime
    mono: Mono

    def wall_of(self, mono: Mono) -> datetime:
        """Return the wall instant that a monotonic one stands for, by today's clock."""
        return self.wall + (mono - self.mono)

    def ago(self, wall: datetime) -> "Now":
        """Return the moment of a wall instant that has passed, as old as the wall clock has it; it is no time to come.

        What has been saved is read by this: a monotonic instant means nothing to another boot.
        """
        return Now(wall, self.mono - max(self.wall - wall, ZERO))
