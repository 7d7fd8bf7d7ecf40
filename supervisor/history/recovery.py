"""What the supervisor before this one left in the database, and what is to be said of the runs it did not see end.

Exactly one row of a due time is final. A run whose row has no end is ``lost``. Nothing of the old supervisor runs any
more, so every due time that no row has settled is settled here: by its lost run, or, where a retry still waited, by
the attempt that had failed. A caller that retries a lost run says so by opening the next attempt of the same due
time: that takes the lost row's finality away again, as with any retry.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from supervisor.core.instants import ZERO
from supervisor.core.runs import Attempt, Closed, Finalized, Outcome, Record, RunId, Saved, SavedGroup, SlotId, Trigger
from supervisor.history.values import from_instant_micros, group_from_json, saved_from_json
from supervisor.values import dataclass, field

LOST = "supervisor ended before the run did"
"""The reason in the rows of runs that nobody saw end."""

Warn = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a new supervisor needs to know of the ones before it."""

    next_run_id: RunId
    saved: Mapping[SlotId, Saved] = field(default_factory=dict)
    groups: Mapping[str, SavedGroup] = field(default_factory=dict)
    lost: tuple[Closed, ...] = ()
    """Rows closed now, oldest first. Their ``duration`` is at most; the row itself says that it is unknown."""
    dropped_retries: tuple[RunId, ...] = ()
    """Failed attempts whose retry still waited."""
    installation: str = field(default_factory=lambda: os.urandom(16).hex())
    """Names this state_dir for ever: the seed of jitter."""

    @property
    def records(self) -> tuple[Record, ...]:
        """What makes the database say the same."""
        return (*self.lost, *(Finalized(run_id=run_id) for run_id in self.dropped_retries))


def unknown(now: datetime) -> Recovered:
    """Return what is known where the database tells nothing.

    No run id is ever given twice, so ids go on from the seconds since 1970: far above any count of runs, and risen by
    the time of the next such accident.
    """
    return Recovered(next_run_id=int(now.timestamp()))


def look(db: sqlite3.Connection, now: datetime, warn: Warn, *, below: RunId | None = None) -> Recovered:
    """Return what an open database tells; rows from ``below`` on belong to a living supervisor.

    Raises:
        sqlite3.Error, ValueError: it cannot be read.
    """
    highest = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    next_run_id = highest[0] + 1 if highest else 1
    lost, dropped = _unfinished(db, now, next_run_id if below is None else below)
    found = db.execute("SELECT value FROM meta WHERE key = 'installation'").fetchone()
    return Recovered(
        next_run_id=next_run_id,
        saved=_saved(db, warn),
        groups=_groups(db, warn),
        lost=lost,
        dropped_retries=dropped,
        installation=found[0] if found else os.urandom(16).hex(),
    )


def settle(db: sqlite3.Connection, recovered: Recovered) -> None:
    """Make a database know the installation's name and which run ids were given, also one that was begun anew."""
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('installation', ?)", (recovered.installation,))
    # SQLite lets its table of AUTOINCREMENT be written (https://www.sqlite.org/autoinc.html).
    db.execute(
        "INSERT INTO sqlite_sequence (name, seq) "
        "SELECT 'runs', 0 WHERE NOT EXISTS (SELECT * FROM sqlite_sequence WHERE name = 'runs')"
    )
    db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'runs'", (recovered.next_run_id - 1,))


def salvage(aside: Path, now: datetime, warn: Warn) -> Recovered:
    """Return what can still be read of a corrupt database: whose state was held or anchored where, at best."""
    found = unknown(now)
    saved: dict[SlotId, Saved] = {}
    groups: dict[str, SavedGroup] = {}
    installation = found.installation
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)) as db:
        with suppress(sqlite3.Error):
            saved = _saved(db, warn)
        with suppress(sqlite3.Error):
            groups = _groups(db, warn)
        with suppress(sqlite3.Error):
            for (name,) in db.execute("SELECT value FROM meta WHERE key = 'installation'"):
                installation = name
    return Recovered(next_run_id=found.next_run_id, saved=saved, groups=groups, installation=installation)


def _unfinished(db: sqlite3.Connection, now: datetime, below: RunId) -> tuple[tuple[Closed, ...], tuple[RunId, ...]]:
    lost: list[Closed] = []
    dropped: list[RunId] = []
    rows = db.execute(
        "SELECT run_id, job, instance, lane, trigger, due_at, attempt, started_at, ended_at, final FROM runs "
        "WHERE (ended_at IS NULL OR final IS NULL) AND run_id < ? ORDER BY run_id",
        (below,),
    )
    for run_id, job, instance, lane, trigger, due_at, attempt, started_at, ended_at, final in rows:
        if ended_at is not None:
            dropped.append(run_id)
            continue
        run = Attempt(
            run_id=run_id,
            slot=SlotId(job, instance, lane),
            trigger=Trigger(trigger),
            due_at=None if due_at is None else from_instant_micros(due_at),
            attempt=attempt,
        )
        began_at = from_instant_micros(started_at)
        lost.append(
            Closed(
                run=run,
                started_at=began_at,
                ended_at=now,
                duration=max(now - began_at, ZERO),
                outcome=Outcome.LOST,
                final=final is None,
                reason=LOST,
            )
        )
    return tuple(lost), tuple(dropped)


def _saved(db: sqlite3.Connection, warn: Warn) -> dict[SlotId, Saved]:
    found: dict[SlotId, Saved] = {}
    for job, instance, lane, text in db.execute("SELECT job, instance, lane, saved FROM slots"):
        slot = SlotId(job, instance, lane)
        try:
            found[slot] = saved_from_json(slot, text)
        except ValueError as error:
            warn(f"the saved state of job {job} cannot be read, it begins anew: {error}")
    return found


def _groups(db: sqlite3.Connection, warn: Warn) -> dict[str, SavedGroup]:
    found: dict[str, SavedGroup] = {}
    for name, text in db.execute("SELECT name, saved FROM groups"):
        try:
            found[name] = group_from_json(name, text)
        except ValueError as error:
            warn(f"the saved state of group {name} cannot be read, it begins anew: {error}")
    return found
