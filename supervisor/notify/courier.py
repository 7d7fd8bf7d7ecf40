"""One notifier's notices on their way: a bounded queue, a thread, tries with growing pauses between them.

Nothing here is waited for by the loop. The thread starts with the first notice, so a notifier that is never needed
costs nothing, and a webhook's libraries are imported only there.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any

from supervisor.core.notifier import Notifier, Program
from supervisor.notify.delivery import Deliver, Undelivered
from supervisor.values import dataclass

CAPACITY = 100
"""Notices that wait at most; of more the oldest are dropped."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries; doubled from the first to the longest."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Notices do not arrive: since when, and why."""

    since: datetime
    reason: str


class Courier:
    """Takes notices and delivers them in order. ``warn`` is called from its thread."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        environ: Mapping[str, str],
        folder: str,
        warn: Callable[[str], None],
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.notifier = notifier
        self._environ = environ
        self._folder = folder
        self._warn = warn
        self._first_pause = first_pause
        self._thread: Thread | None = None
        self._deliver: Deliver | None = None
        """The thread's own, made for its first notice."""
        self._woken = Condition()
        # Under the condition's lock:
        self._waiting: deque[dict[str, Any]] = deque()
        self._dropped = 0
        self._trouble: Trouble | None = None
        self._closing = False

    def put(self, notice: dict[str, Any]) -> None:
        """Take a notice; never waits."""
        with self._woken:
            if self._closing:
                return
            if len(self._waiting) >= CAPACITY:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(notice)
            self._woken.notify()
        if self._thread is None:
            self._begin()

    def _begin(self) -> None:
        """Start the thread; where none is to be had, what waits goes out with the next notice."""
        thread = Thread(target=self._serve, name=f"notify {self.notifier.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._fail(str(error))
        else:
            self._thread = thread

    @property
    def trouble(self) -> str | None:
        """A line for status; None while all arrives."""
        with self._woken:
            if self._trouble is None:
                return None
            waits = f"{len(self._waiting)} waiting, {self._dropped} dropped"
            since = f"{self._trouble.since:%Y-%m-%dT%H:%M:%SZ}"
            return f"notify.{self.notifier.name}: not delivered since {since}: {self._trouble.reason} ({waits})"

    @property
    def waiting(self) -> tuple[dict[str, Any], ...]:
        """The notices that have not arrived, the one on its way included."""
        with self._woken:
            return tuple(self._waiting)

    def finish(self) -> None:
        """Take no more; the thread tries what waits once more, and ends."""
        with self._woken:
            self._closing = True
            self._woken.notify()

    def close(self, until: float) -> None:
        """Finish, until a monotonic time; what is left then is lost, and said so."""
        self.finish()
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
        with self._woken:
            lost = len(self._waiting)
            if lost:
                self._warn(f"notify.{self.notifier.name}: {lost} notices were not delivered")

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._closing or self._waiting)
                if not self._waiting:
                    return
                notice = self._waiting[0]
            arrived = self._tried(notice)
            with self._woken:
                if self._waiting and self._waiting[0] is notice:
                    self._waiting.popleft()
                self._dropped += not arrived

    def _means(self) -> Deliver:
        notifier = self.notifier
        timeout = notifier.timeout.total_seconds()
        if isinstance(notifier.to, Program):
            from supervisor.notify.program import ByProgram  # noqa: PLC0415  # only where there is one

            return ByProgram(notifier.to, timeout, environ=self._environ, folder=self._folder)
        from supervisor.notify.webhook import ByWebhook  # noqa: PLC0415  # HTTP and TLS, only where there is one

        return ByWebhook(notifier.to, timeout)

    def _tried(self, notice: dict[str, Any]) -> bool:
        """Try to deliver a notice as often as the notifier says, and tell whether it arrived."""
        pause = self._first_pause
        for left in range(self.notifier.retries, -1, -1):
            try:
                if self._deliver is None:
                    self._deliver = self._means()
                self._deliver(notice)
            except Undelivered as error:
                self._fail(str(error))
                if not left or not error.again:
                    return False
            except Exception as error:  # noqa: BLE001  # whatever it is, the next notice has its turn
                self._fail(f"{type(error).__name__}: {error}")
                return False
            else:
                self._heal()
                return True
            with self._woken:
                if self._woken.wait_for(lambda: self._closing, pause):
                    return False
            pause = min(pause * 2, LONGEST_PAUSE)
        return False

    def _fail(self, reason: str) -> None:
        with self._woken:
            before = self._trouble
            self._trouble = Trouble(before.since if before else datetime.now(UTC), reason)
        if before is None or before.reason != reason:
            self._warn(f"notify.{self.notifier.name}: not delivered: {reason}")

    def _heal(self) -> None:
        with self._woken:
            before, self._trouble = self._trouble, None
            dropped, self._dropped = self._dropped, 0
        if before is not None:
            self._warn(f"notify.{self.notifier.name}: delivered again; {dropped} notices were dropped")
