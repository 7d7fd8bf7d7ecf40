"""How the output of jobs fares: files that take no lines, a log process that is silent or died."""

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from supervisor.values import dataclass

RECENT = timedelta(minutes=10)
"""For which status tells of what is over, or of a file that nobody writes to any more."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that does not take lines, or cannot be rotated."""

    label: str
    error: str
    lines: int
    since: datetime
    told_at: float
    """When it was heard of last, on the monotonic clock."""

    def __str__(self) -> str:
        """Return a line for status."""
        what = f"{self.lines} lines of {self.label} dropped" if self.lines else self.label
        return f"log: {what}: {self.error} since {_brief(self.since)}"


class Condition:
    """What is wrong, for the log when it begins and ends, and for status meanwhile."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._troubles: dict[str, Trouble] = {}
        self._silent_since: datetime | None = None
        self._deaths = 0
        self._last_death = ""
        self._died_at = 0.0

    def lines(self, written: Collection[str]) -> tuple[str, ...]:
        """Return what status says; ``written`` are the files that jobs write to now."""
        often = f"log: the log process had to be replaced {self._deaths} times, last {self._last_death}"
        died = [often] if self._deaths and time.monotonic() - self._died_at < RECENT.total_seconds() else []
        silent = [_silence(self._silent_since)] if self._silent_since else []
        return (*map(str, self._present(written).values()), *silent, *died)

    def _present(self, written: Collection[str]) -> dict[str, Trouble]:
        recent = time.monotonic() - RECENT.total_seconds()
        return {path: each for path, each in self._troubles.items() if path in written or each.told_at > recent}

    def fails(self, path: str, label: str, error: str, lines: int, since: float, written: Collection[str]) -> None:
        """Note what a file costs since a time of the wall clock."""
        before = self._troubles.get(path)
        self._troubles = self._present(written)
        trouble = Trouble(label, error, lines, datetime.fromtimestamp(since, UTC), time.monotonic())
        self._troubles[path] = trouble
        if before is None or before.error != error:
            self._warn(str(trouble))

    def is_well(self, path: str) -> None:
        """Note that a file takes lines again."""
        if path in self._troubles:
            self._warn(f"{self._troubles.pop(path)}: over")

    def is_silent(self, waited: timedelta) -> None:
        """Note that the log process has not answered for so long."""
        self._silent_since = datetime.now(UTC) - waited
        self._warn(_silence(self._silent_since))

    def is_heard(self) -> None:
        """Note that it has answered."""
        if self._silent_since is not None:
            self._silent_since = None
            self._warn("log: the log process answers again")

    def has_died(self, how: str, runs: int) -> None:
        """Note the death of a log process that had so many runs."""
        self._deaths += 1
        self._died_at = time.monotonic()
        self._last_death = f"{_brief(datetime.now(UTC))} ({how})"
        self._warn(f"log: the log process ended ({how}); another one takes over its {runs} runs")

    def begin_anew(self) -> None:
        """Forget what only the last log process could tell the end of."""
        self._troubles.clear()
        self._silent_since = None


def _silence(since: datetime) -> str:
    return f"log: the log process has not answered since {_brief(since)}; the output of jobs waits"


def _brief(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
