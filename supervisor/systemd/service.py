"""This supervisor as a unit: which news the service manager gets, and when.

Nothing here has a timer: ``deadline`` is one more instant for the clock that starts due jobs, and a ping of the
watchdog is sent only after that clock has come, the loop has turned and the board has moved on. A supervisor that does
not come so far is hung, and the manager restarts it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from supervisor.core.effects import Change
from supervisor.core.instants import Mono, Now
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import New, Recording, Starting, earliest
from supervisor.core.summary import summary
from supervisor.errors import ManifestError
from supervisor.systemd.notify import NotifySocket, address_of

FIRST_STARTS = timedelta(seconds=30)
"""READY is said no later than this after the begin: one job that never gets ready holds up no boot."""
STATUS_EVERY = timedelta(seconds=1)
"""At most so often, and more seldom the more there is to look at: EACH for each slot."""
EACH = timedelta(milliseconds=1)
EXTEND_EVERY = timedelta(seconds=5)
EXTENSION = timedelta(seconds=20)
"""While a stop goes on: how long the manager waits for the next sign of life. The closing of the logs falls into it."""


class Service:
    """What is said of a supervisor; without a manager all of it is nothing."""

    def __init__(self, socket: NotifySocket | None, watchdog: timedelta | None) -> None:
        """Speak through a socket; ``watchdog`` is the time in which the manager wants a ping."""
        self._socket = socket
        self._every = watchdog / 2 if watchdog is not None and socket is not None else None
        self._ping_at: Mono | None = None
        self._ready_by: Mono | None = None
        self._starting: set[SlotId] = set()
        self._is_stale = False
        self._status_at = timedelta(0)
        self._status = ""
        self._refused = ""
        self._extend_at: Mono | None = None

    @property
    def deadline(self) -> Mono | None:
        """The monotonic instant at which ``advance`` wants to be called; None is never."""
        return earliest(self._ping_at, self._ready_by, self._extend_at, self._status_at if self._is_stale else None)

    def begun(self, slots: Collection[Slot], now: Now) -> None:
        """The jobs are taken on: READY follows when each that starts at once has started, or failed to."""
        if self._socket is None:
            return
        self._starting = {slot.id for slot in slots if _is_coming(slot)}
        self._ready_by = now.mono + FIRST_STARTS if self._starting else now.mono
        self._ping_at = now.mono if self._every is not None else None
        self._is_stale = True

    def notice(self, change: Change) -> None:
        """Take note of a change; what follows from it is said by ``advance``."""
        if self._socket is None:
            return
        self._is_stale = True
        if self._ready_by is not None and not _is_coming(change.after):
            self._starting.discard(change.after.id)
            if not self._starting:
                self._ready_by = min(self._ready_by, change.at.mono)

    def advance(self, slots: Collection[Slot], now: Now) -> None:
        """Say what is due now."""
        if self._socket is None:
            return
        if self._ping_at is not None and self._every is not None and self._ping_at <= now.mono:
            self._ping_at = now.mono + self._every
            self._socket.say("WATCHDOG=1")
            self._is_stale = True  # lateness comes without a change
        if self._extend_at is not None and self._extend_at <= now.mono:
            self._extend(now)
        is_ready = self._ready_by is not None and self._ready_by <= now.mono
        if self._is_stale and (is_ready or self._status_at <= now.mono):
            self._say_status(slots, now)
        if is_ready:
            self._ready_by = None
            self._socket.say("READY=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the manifest is being applied, and then that we go on: with it, or with the old one."""
        if self._socket is None:
            yield
            return
        self._socket.say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            yield
            self._refused = ""
        except ManifestError as error:
            self._refused = f"reload refused ({error.problems[0]}); "
            raise
        finally:
            self._is_stale = True
            self._socket.say("READY=1")

    def ending(self, now: Now) -> None:
        """All jobs are being stopped; the manager shall wait for the end while we give signs of life."""
        if self._socket is None or self._extend_at is not None:
            return
        self._ready_by = None
        self._socket.say("STOPPING=1")
        self._extend(now)

    def close(self) -> None:
        """Say no more."""
        if self._socket is not None:
            self._socket.close()

    def _extend(self, now: Now) -> None:
        assert self._socket is not None
        self._extend_at = now.mono + EXTEND_EVERY
        self._socket.say(f"EXTEND_TIMEOUT_USEC={EXTENSION // timedelta(microseconds=1)}")

    def _say_status(self, slots: Collection[Slot], now: Now) -> None:
        assert self._socket is not None
        status = self._refused + summary(slots, now)
        self._is_stale = False
        self._status_at = now.mono + max(STATUS_EVERY, len(slots) * EACH)
        if status != self._status:
            self._status = status
            self._socket.say(f"STATUS={status}")


def service(loop: asyncio.AbstractEventLoop, environ: Mapping[str, str], *, warn: Callable[[str], None]) -> Service:
    """Return the unit that the environment makes us: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_notify(3))."""
    variable = environ.get("NOTIFY_SOCKET")
    if not variable:
        return Service(None, None)
    address = address_of(variable)
    if address is None:
        warn(f'NOTIFY_SOCKET="{variable}" is no socket of this machine; no service manager hears of us')
        return Service(None, None)
    watched = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    watchdog = timedelta(microseconds=int(watched)) if watched.isdigit() and int(watched) and is_ours else None
    return Service(NotifySocket(loop, address, warn=warn), watchdog)


def _is_coming(slot: Slot) -> bool:
    return isinstance(slot.state, New | Recording | Starting)
