"""Signals to the supervisor, from its first moment to its last: none is lost, and none ends it midway.

A signal without a handler ends a process at once, and PID 1 of a container never hears of it (kill(2)). So ``stand`` is
the first thing that ``run`` does. Until a job may have been started there is nothing to stop, and a signal that asks
for the end ends the program where it stands, with exit code 0; after that all wait until the loop takes them.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # which ``run`` imports later, without OpenSSL

HANDOVER = "JOBVISOR_HANDOVER"
"""The variable by which this program knows that it was exec'd by itself."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
ALL = (*ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """What has come before the loop could take it."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._ends = HANDOVER not in os.environ
        """What crossed an exec has jobs, which are to be stopped in order."""

    def stand(self) -> None:
        """Handle all of them from now on; what was held back, by who exec'd this program too, comes now."""
        sys.unraisablehook = _unraisable
        for number in ALL:
            signal.signal(number, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL)

    def wait_for_the_loop(self) -> None:
        """Keep those that ask for the end too."""
        self._ends = False

    def hand_over(self, loop: "asyncio.AbstractEventLoop", handlers: Mapping[int, Callable[[], None]]) -> None:
        """Have the loop handle signals, SIGCHLD among them, those first that have come already.

        By ``add_signal_handler``, the loop's end would have each one of them end the process, in any thread that is
        left; so only SIGCHLD is handled like that, and the loop woken for all. One that comes again before the loop
        has had its turn is one with the first, as the kernel has it: a flood adds nothing to what the loop has to do.
        """
        waiting: set[int] = set()

        def take(number: int, _frame: FrameType | None) -> None:
            if number not in waiting:
                waiting.add(number)
                loop.call_soon_threadsafe(handle, number)

        def handle(number: int) -> None:
            waiting.discard(number)
            handlers[number]()

        before = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
        loop.add_signal_handler(signal.SIGCHLD, handlers[signal.SIGCHLD])
        for each in ALL:
            signal.signal(each, take)
            signal.siginterrupt(each, False)
        # a flood that fills it is no news; to warn of it, CPython takes a lock in its handler (3.13 can hang on it)
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        came, self._came = self._came, []
        for number in came:
            loop.call_soon(handlers[number])
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)  # before it is raised: code that runs by the way, such as __del__, swallows that
        if self._ends and number in ENDING:
            raise SystemExit(0)

    def hold_over(self) -> None:
        """Keep what comes from now on for who is exec'd: this thread has it, and it waits over the exec.

        Another thread may be given a signal too, and would take it with it.
        """
        hold_back()
        main = threading.main_thread().ident
        assert main is not None
        for number in ALL:
            signal.signal(number, lambda number, _: signal.pthread_kill(main, number))

    def take_again(self, loop: "asyncio.AbstractEventLoop", handlers: Mapping[int, Callable[[], None]]) -> None:
        """Go on after ``hold_over`` where nobody was exec'd."""
        self.hand_over(loop, handlers)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL)


def _unraisable(told: "sys.UnraisableHookArgs") -> None:
    """Say nothing of an end that ``_take`` has raised where Python has nobody to raise it to: it is remembered.

    Nor of a signal that came in the moment from which on it is ignored.
    """
    if not (isinstance(told.exc_value, SystemExit) or _RACE in str(told.exc_value)):
        sys.__unraisablehook__(told)


_RACE = "ignored due to race condition"
"""What CPython says of it (Modules/signalmodule.c)."""


early = Signals()
"""Those of this process: it has one set of handlers."""


def hold_back() -> None:
    """Have none of them delivered any more to this thread: before an exec, over which this lasts, and at the end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL)


def ignore() -> None:
    """Have none of them delivered any more to any thread: at the end, which one more does not change."""
    hold_back()
    for number in ALL:
        signal.signal(number, signal.SIG_IGN)
