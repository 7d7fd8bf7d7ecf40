"""This supervisor as a unit: which news the service manager gets, and when.

It is ready when every job that starts at once has started or failed to, those too that wait for others (``after``, a
group). Each has the time that its own ``start_timeout`` says, and the manager, whose patience is shorter, is asked for
more as long as the loop turns.

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
from enum import Enum, auto

from supervisor.core.effects import Change
from supervisor.core.instants import Mono, Now
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Barred, New, Recording, Starting, earliest
from supervisor.core.summary import summary
from supervisor.errors import ManifestError
from supervisor.systemd.notify import NotifySocket, address_of
from supervisor.values import dataclass

UNBOUNDED_STARTS = timedelta(seconds=30)
"""What nothing bounds (``start_timeout = "none"``, a Worker's ``start()``) holds up READY for no longer."""
STATUS_EVERY = timedelta(seconds=1)
"""At most so often, and more seldom the more there is to look at: EACH for each slot."""
EACH = timedelta(milliseconds=1)
EXTEND_EVERY = timedelta(seconds=5)
EXTENSION = timedelta(seconds=20)
"""While a start or a stop goes on: how long the manager waits for the next sign of life. The closing of the logs falls
into it."""


class Phase(Enum):
    """What the service manager believes us to do."""

    STARTING = auto()
    UP = auto()
    ENDING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedService:
    """What outlives an exec of another version."""

    is_up: bool
    """The manager was told that we are ready."""
    refused: str
    """What the status says of the last reload, where that was refused."""


class Service:
    """What is said of a supervisor; without a manager all of it is nothing."""

    def __init__(
        self, socket: NotifySocket | None, watchdog: timedelta | None, hindrance: Callable[[Slot], str | None]
    ) -> None:
        """Speak through a socket.

        ``watchdog`` is the time in which the manager wants a ping; ``hindrance`` tells why a slot that is held back
        will not start by itself.
        """
        self._socket = socket
        self._hindrance = hindrance
        self._every = watchdog / 2 if watchdog is not None and socket is not None else None
        self._phase = Phase.STARTING
        self._ping_at: Mono | None = None
        self._first: set[SlotId] = set()
        """The slots of which READY waits to have started, or failed to."""
        self._look_at: Mono | None = None
        """When to look at those, unless one of them changes before."""
        self._patient_until = timedelta(0)
        self._is_stale = False
        self._status_at = timedelta(0)
        self._status = ""
        self._refused = ""
        self._extend_at: Mono | None = None

    @property
    def deadline(self) -> Mono | None:
        """The monotonic instant at which ``advance`` wants to be called; None is never."""
        return earliest(self._ping_at, self._look_at, self._extend_at, self._status_at if self._is_stale else None)

    def starting(self, now: Now) -> None:
        """The loop turns: the manager shall wait for the first starts while we give signs of life."""
        if self._socket is None:
            return
        self._extend(now)
        self._ping_at = now.mono if self._every is not None else None

    def hand_over(self) -> HandedService:
        """Return what the next version must know."""
        return HandedService(is_up=self._phase is Phase.UP, refused=self._refused)

    def go_on(self, handed: HandedService, slots: Collection[Slot], now: Now) -> None:
        """The supervisor has exec'd another version: the manager is told that its main process is the same one.

        One that was ready is so; else it is when what still starts has started.
        """
        if self._socket is None:
            return
        self._socket.say(f"MAINPID={os.getpid()}")
        self._refused = handed.refused
        self.begun(slots, now)
        if handed.is_up:
            self._first.clear()

    def begun(self, slots: Collection[Slot], now: Now) -> None:
        """The jobs are taken on: READY follows when each that starts at once has started, or failed to."""
        if self._socket is None:
            return
        self._first = {slot.id for slot in slots if _may_start(slot)}
        self._look_at = now.mono
        self._patient_until = now.mono + UNBOUNDED_STARTS
        self._is_stale = True

    def notice(self, change: Change) -> None:
        """Take note of a change; what follows from it is said by ``advance``."""
        if self._socket is None:
            return
        self._is_stale = True
        if change.after.id in self._first:
            self._look_at = change.at.mono
            if not _may_start(change.after):
                self._first.discard(change.after.id)

    def advance(self, slots: Collection[Slot], now: Now) -> None:
        """Say what is due now."""
        if self._socket is None:
            return
        if self._ping_at is not None and self._every is not None and self._ping_at <= now.mono:
            self._ping_at = now.mono + self._every
            self._socket.say("WATCHDOG=1")
            self._is_stale = True  # lateness comes without a change
        if self._look_at is not None and self._look_at <= now.mono:
            self._look(slots, now)
        if self._extend_at is not None and self._extend_at <= now.mono:
            self._extend(now)
        if self._is_stale and self._status_at <= now.mono:
            self._say_status(slots, now)

    def _look(self, slots: Collection[Slot], now: Now) -> None:
        """Say READY where nothing is left that will start by itself, or only what nothing bounds, for long enough."""
        assert self._socket is not None
        first = [slot for slot in slots if slot.id in self._first]
        if any(_is_bounded(slot) for slot in first):
            self._look_at = self._patient_until if now.mono < self._patient_until else None
            return
        if now.mono < self._patient_until and not all(map(self._is_hindered, first)):
            self._look_at = self._patient_until
            return
        self._first.clear()
        self._look_at = self._extend_at = None
        self._phase = Phase.UP
        self._say_status(slots, now)
        self._socket.say("READY=1")

    def _is_hindered(self, slot: Slot) -> bool:
        return isinstance(slot.state, Barred) and self._hindrance(slot) is not None

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the manifest is being applied, and then that we go on: with it, or with the old one.

        READY would end a start before its time, so while one goes on, or a stop, only the status tells of it.
        """
        if self._socket is None:
            yield
            return
        is_up = self._phase is Phase.UP
        if is_up:
            self._say_reloading()
        try:
            yield
            self._refused = ""
        except ManifestError as error:
            self._refused = f"reload refused ({error.problems[0]}); "
            raise
        finally:
            self._is_stale = True
            if is_up:
                self._socket.say("READY=1")

    def _say_reloading(self) -> None:
        assert self._socket is not None
        self._socket.say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def ending(self, now: Now) -> None:
        """All jobs are being stopped; the manager shall wait for the end while we give signs of life."""
        if self._socket is None or self._phase is Phase.ENDING:
            return
        self._phase = Phase.ENDING
        self._first.clear()
        self._look_at = None
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


def service(
    loop: asyncio.AbstractEventLoop,
    environ: Mapping[str, str],
    *,
    warn: Callable[[str], None],
    hindrance: Callable[[Slot], str | None],
) -> Service:
    """Return the unit that the environment makes us: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_notify(3))."""
    variable = environ.get("NOTIFY_SOCKET")
    if not variable:
        return Service(None, None, hindrance)
    address = address_of(variable)
    if address is None:
        warn(f'NOTIFY_SOCKET="{variable}" is no socket of this machine; no service manager hears of us')
        return Service(None, None, hindrance)
    watched = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    watchdog = timedelta(microseconds=int(watched)) if watched.isdigit() and int(watched) and is_ours else None
    return Service(NotifySocket(loop, address, warn=warn), watchdog, hindrance)


def _may_start(slot: Slot) -> bool:
    return isinstance(slot.state, New | Recording | Starting | Barred)


def _is_bounded(slot: Slot) -> bool:
    """Tell whether a slot starts, and something sees to it that this has an end."""
    match slot.state:
        case New() | Recording():
            return True
        case Starting(until=until):
            return until is not None or (slot.job.supervision.ready is None and slot.job.schedule is None)
    return False
