"""How a disk answers the thread that writes to it: in time or not, well or not; said when it changes, and in status."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock

SLOW = 2.0
"""Seconds after which a disk that has not answered is told of."""
RECENT = 600.0
"""Seconds for which a failure is told where nothing is tried again."""


class DiskHealth:
    """Of one kind of file. Its methods may be called by any thread; ``warn`` is called by the same."""

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        """``name`` stands before each line."""
        self._name = name
        self._warn = warn
        self._lock = Lock()
        self._asked_at: float | None = None
        """When the disk was asked what it has not answered yet. Instants are of the monotonic clock."""
        self._failure: str | None = None
        self._failed_at = 0.0

    @property
    def trouble(self) -> str | None:
        """What status says; None while all is well, as far as is known."""
        now = time.monotonic()
        with self._lock:
            if self._asked_at is not None and now - self._asked_at > SLOW:
                return f"{self._name}: the disk has not answered for {now - self._asked_at:.0f} s"
            return self._failure if now - self._failed_at < RECENT else None

    def asked(self) -> None:
        """Note that the disk is asked for something."""
        with self._lock:
            self._asked_at = time.monotonic()

    def answered(self, *, wrote: bool = False, failure: str | None = None) -> None:
        """Note how it has answered: nothing but a write that went well ends a trouble."""
        now = time.monotonic()
        with self._lock:
            took = now - (self._asked_at or now)
            self._asked_at = None
            before = self._failure
            if failure is not None:
                self._failed_at = now
                since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
                self._failure = before or f"{self._name}: not writable since {since}: {failure}"
            elif wrote:
                self._failure = None
            after = self._failure
        if took > SLOW:
            self._warn(f"{self._name}: the disk took {took:.0f} s to answer")
        if after is not None and before is None:
            self._warn(after)
        elif before is not None and after is None:
            self._warn(f"{self._name}: writable again")
