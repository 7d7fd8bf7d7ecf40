"""What time it is, and being told when an instant comes or the wall clock is set. Linux timerfds on the event loop.

asyncio's own clock is CLOCK_MONOTONIC, which stands still in suspend, so no job's time hangs on ``call_later``: the
deadline is a timerfd on CLOCK_BOOTTIME. A second one on CLOCK_REALTIME, never due, is cancelled by the kernel when the
wall clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
"""

import asyncio
import ctypes
import errno
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from supervisor.core.instants import Mono, Now

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2
_NEVER_NS = 2**62
_UNSTEADY_NS = 1_000_000

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


def now() -> Now:
    """Return this moment on CLOCK_REALTIME and CLOCK_BOOTTIME, read close together."""
    while True:
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if after - before < _UNSTEADY_NS:
            return Now(_EPOCH + timedelta(microseconds=wall // 1000), timedelta(microseconds=before // 1000))


NAP = timedelta(seconds=1)
"""A shorter suspend is not told apart from a slow reading."""


def asleep() -> timedelta:
    """Return how long the machine has been suspended since its boot."""
    boot, mono = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return timedelta(microseconds=(boot - mono) // 1000)


class Clock:
    """Calls ``on_time`` when the armed instant has come and ``on_step`` when the wall clock was set."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_time: Callable[[], None], on_step: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._on_time = on_time
        self._on_step = on_step
        self._armed: Mono | None = None
        self._deadline = _timerfd(time.CLOCK_BOOTTIME)
        self._steps = _timerfd(time.CLOCK_REALTIME)
        self._watch_steps()
        loop.add_reader(self._deadline, self._came)
        loop.add_reader(self._steps, self._stepped)

    def arm(self, at: Mono | None) -> None:
        """Be called at this monotonic instant, at once where it has passed, never where it is None."""
        if at == self._armed:
            return
        self._armed = at
        _settime(self._deadline, _TFD_TIMER_ABSTIME, 0 if at is None else max(1, round(at.total_seconds() * 1e9)))

    def close(self) -> None:
        """Stop calling."""
        for fd in (self._deadline, self._steps):
            self._loop.remove_reader(fd)
            os.close(fd)

    def _came(self) -> None:
        try:
            os.read(self._deadline, 8)
        except BlockingIOError:
            return
        self._armed = None
        self._on_time()

    def _stepped(self) -> None:
        try:
            os.read(self._steps, 8)
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
        self._watch_steps()
        self._on_step()

    def _watch_steps(self) -> None:
        _settime(self._steps, _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET, _NEVER_NS)


def _timerfd(clock: int) -> int:
    fd: int = _libc.timerfd_create(clock, _TFD_NONBLOCK_CLOEXEC)
    if fd < 0:
        raise _os_error("timerfd_create")
    return fd


def _settime(fd: int, flags: int, at_ns: int) -> None:
    spec = _Itimerspec(_Timespec(0, 0), _Timespec(*divmod(at_ns, 1_000_000_000)))
    if _libc.timerfd_settime(fd, flags, ctypes.byref(spec), None) < 0:
        raise _os_error("timerfd_settime")


def _os_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
