"""The one thread that writes the record of runs, and what the loop sees of it.

Rules of this file:
- What waits when the thread wakes is one transaction; its run ids are acknowledged once that is on disk.
- A healthy thread waits without a time-out. Only while the disk fails does it wake by itself, to try again.
- A sick disk costs records, never runs: they wait in memory, the oldest are dropped and counted, ``trouble`` says so.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from supervisor.core.runs import Closed, NotRun, Opened, Record, RunId
from supervisor.history.backlog import Backlog
from supervisor.history.database import Database
from supervisor.history.recovery import Recovered, Warn
from supervisor.history.retention import Retention
from supervisor.values import dataclass

__all__ = ["History", "Recovered"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Between two tries of a failing disk; doubled from the first to the longest."""
HANGS_AFTER_S = 10.0
"""A transaction that takes longer than this may take for ever."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The history cannot be written: since when, why, and the pause before the next try in seconds."""

    since: datetime
    reason: str
    pause_s: float = FIRST_PAUSE_S


class History:
    """The record of runs of one state_dir. Its methods belong to the loop's thread.

    Only ``start`` and ``close`` wait for the disk. ``acknowledged`` is called in the loop with the run ids whose rows
    are on disk; ``warn`` gets sentences for the supervisor's log, in the loop too.
    """

    def __init__(
        self,
        path: Path,
        *,
        loop: asyncio.AbstractEventLoop,
        acknowledged: Callable[[tuple[RunId, ...]], object],
        warn: Warn,
        keep: timedelta = timedelta(days=30),
        keep_runs: int = 1000,
    ) -> None:
        self._loop = loop
        self._acknowledged = acknowledged
        self._warn = warn
        self._database = Database(path, self._say)
        self._thread = self._new_thread()
        self._woken = Condition()
        # Under the condition's lock:
        self._backlog = Backlog()
        self._retention = Retention(keep, keep_runs)
        self._trouble: Trouble | None = None
        self._writing_since: float | None = None
        """On the monotonic clock."""
        self._closing = False

    def start(self, now: datetime) -> Recovered:
        """Open the database, settle what the supervisor before this one left, and start the thread.

        A disk that fails costs records, not the start: then what can be read is returned, and ``trouble`` says why.

        Raises:
            NewerSchemaError: a newer Jobvisor has written the database.
        """
        try:
            recovered = self._database.begin(now)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._fail(error)
            recovered = self._database.recall(now)
        self._thread.start()
        return recovered

    def go_on(self, found: Recovered, records: Sequence[Record]) -> None:
        """Go on with the database of the supervisor that this process was before an exec, in the place of ``start``.

        ``found`` is what is saved by now; ``records`` are those that the disk has not taken yet.
        """
        self._database.go_on(found)
        self._backlog.put(records, ())
        self._thread.start()

    def pause(self, timeout: float = 5.0) -> bool:
        """Write what waits, and end the thread; False where the disk hangs, and the thread goes on."""
        with self._woken:
            self._closing = True
            self._woken.notify()
        self._thread.join(timeout)
        with self._woken:
            self._closing = not self._thread.is_alive()
            return self._closing

    @property
    def unwritten(self) -> tuple[Record, ...]:
        """What the disk has not taken, and what came since ``pause``."""
        with self._woken:
            return tuple(self._backlog)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._closing = False
        self._thread = self._new_thread()
        self._thread.start()

    def _new_thread(self) -> Thread:
        return Thread(target=self._serve, name="history", daemon=True)

    def keep(self, records: Sequence[Record], acks: Iterable[RunId] = ()) -> None:
        """Have records written in one transaction; ``acks`` are the ids of ``Opened`` among them to acknowledge."""
        with self._woken:
            self._backlog.put(records, acks)
            if self._trouble is not None or self._hangs():
                self._backlog.make_room()
            self._woken.notify()

    def _hangs(self) -> bool:
        return self._writing_since is not None and time.monotonic() - self._writing_since > HANGS_AFTER_S

    def retain(self, keep: timedelta, keep_runs: int) -> None:
        """Keep rows by another rule from now on."""
        with self._woken:
            self._retention = Retention(keep, keep_runs)
            self._woken.notify()

    @property
    def trouble(self) -> str | None:
        """Why the history cannot be written just now, for ``status``; None while it can."""
        with self._woken:
            if self._trouble is None:
                return None
            waits = f"{len(self._backlog)} records waiting, {self._backlog.dropped} dropped"
            return (
                f"history not writable since {self._trouble.since:%Y-%m-%dT%H:%M:%SZ}: {self._trouble.reason} ({waits})"
            )

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, close the database and end the thread, within ``timeout`` seconds; say what was lost."""
        with self._woken:
            self._closing = True
            self._woken.notify()
        self._thread.join(timeout)
        with self._woken:
            if self._thread.is_alive():
                self._warn(f"the history's disk did not answer within {timeout:g} s; its last records may be lost")
            elif self._backlog:
                reason = self._trouble.reason if self._trouble else "it was closed"
                self._warn(f"{len(self._backlog)} records of the history were not written: {reason}")

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._woken:
                self._wait()
                batch, closing, retention = self._backlog.take(), self._closing, self._retention
                self._writing_since = time.monotonic()
            try:
                self._write(batch, retention)
                if retention.is_pending(_now()) and not closing:
                    self._database.prune(retention, _now())
            except Exception as error:  # noqa: BLE001  # whatever it is, the thread that keeps the record lives on
                with self._woken:
                    self._backlog.put_back(batch)
                self._fail(error)
            else:
                self._heal()
            with self._woken:
                self._writing_since = None
            if closing and self._is_over():
                break
        self._database.close()

    def _is_over(self) -> bool:
        with self._woken:
            return self._closing

    def _wait(self) -> None:
        if self._trouble is not None:
            self._woken.wait_for(lambda: self._closing, self._trouble.pause_s)
        else:
            self._woken.wait_for(lambda: self._closing or self._backlog or self._retention.is_pending(_now()))

    def _write(self, batch: Backlog, retention: Retention) -> None:
        """Write a batch and acknowledge it; then it is empty, whatever fails later."""
        if not batch:
            return
        refused = self._database.write(batch)
        written = batch.take()
        for record, problem in refused:
            self._say(f"cannot store {record!r:.200}: {problem}")
            if isinstance(record, Opened):
                written.acks.pop(record.run.run_id, None)
        retention.count(row.run.slot.job for row in written.rows if isinstance(row, Closed | NotRun))
        if written.acks:
            self._tell(self._acknowledged, tuple(written.acks))

    # -- fair weather and foul -----------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        self._database.fail(error)
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
        with self._woken:
            before = self._trouble
            if before is None:
                self._trouble = Trouble(_now(), reason)
            else:
                self._trouble = Trouble(before.since, reason, min(before.pause_s * 2, LONGEST_PAUSE_S))
        if before is None:
            self._say(f"history not writable: {reason}; runs go on, their records wait in memory")

    def _heal(self) -> None:
        with self._woken:
            before, self._trouble = self._trouble, None
            dropped, self._backlog.dropped = self._backlog.dropped, 0
        if before is not None or dropped:
            self._say(f"history writable again; {dropped} records were dropped")

    def _say(self, text: str) -> None:
        self._tell(self._warn, text)

    def _tell(self, listener: Callable[[Any], object], said: object) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody listens any longer
            self._loop.call_soon_threadsafe(listener, said)


def _now() -> datetime:
    return datetime.now(UTC)
