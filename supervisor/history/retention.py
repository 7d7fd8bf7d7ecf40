"""How long rows stay: per job so many and so old, whichever is less. Deleted in small transactions, oldest first."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from supervisor.history.values import to_instant_micros
from supervisor.values import dataclass, field

CHUNK = 200
"""Rows deleted in one transaction: a run that waits for its row waits no longer than that takes."""
OVERDUE = 100
"""Rows of a job that end before it is looked through again."""
ROUND = timedelta(days=1)
"""All jobs are looked through as often, also those that no longer run; no timer: when something is written anyway."""

# The newest row of a living slot stays however old: `status` and `show` tell of it. So does a row that is not settled.
_PRUNE = """
DELETE FROM runs WHERE run_id IN (
    SELECT run_id FROM runs
    WHERE job = :job AND ended_at IS NOT NULL AND final IS NOT NULL AND (run_id <= :surplus OR ended_at < :oldest)
    AND run_id NOT IN (
        SELECT max(run_id) FROM runs WHERE job = :job
        AND instance IN (SELECT instance FROM slots WHERE job = :job) GROUP BY instance
    )
    ORDER BY run_id LIMIT :chunk
)
"""
_JOBS = """
WITH RECURSIVE jobs (job) AS (
    SELECT min(job) FROM runs
    UNION ALL SELECT (SELECT min(job) FROM runs WHERE runs.job > jobs.job) FROM jobs WHERE jobs.job IS NOT NULL
)
SELECT job FROM jobs WHERE job IS NOT NULL
"""


def jobs_of(db: sqlite3.Connection) -> list[str]:
    """Return the names of all jobs that have rows, sorted; one step of the index each, however many rows."""
    return [job for (job,) in db.execute(_JOBS)]


def prune(db: sqlite3.Connection, job: str, *, oldest: datetime, keep_runs: int) -> int:
    """Delete a chunk of a job's rows, those ended before ``oldest`` and those beyond the newest ``keep_runs``.

    Returns:
        How many were deleted; fewer than ``CHUNK`` means that none is left to delete.
    """
    surplus = db.execute(
        "SELECT run_id FROM runs WHERE job = ? ORDER BY run_id DESC LIMIT 1 OFFSET ?", (job, keep_runs)
    ).fetchone()
    return db.execute(
        _PRUNE,
        {"job": job, "surplus": surplus[0] if surplus else 0, "oldest": to_instant_micros(oldest), "chunk": CHUNK},
    ).rowcount


@dataclass(slots=True)
class Retention:
    """Which jobs are to be looked through, and by what rule."""

    keep: timedelta
    keep_runs: int
    round_at: datetime | None = None
    """When all jobs are due again; None is at once."""
    jobs: dict[str, None] = field(default_factory=dict)
    """Jobs to look through, in this order."""
    ended: Counter[str] = field(default_factory=Counter)
    """Rows that have ended since a job was looked through."""

    def count(self, jobs: Iterable[str]) -> None:
        """Take note that a row of each of these jobs has ended."""
        for job in jobs:
            self.ended[job] += 1
            if self.ended[job] >= OVERDUE:
                del self.ended[job]
                self.jobs[job] = None

    def is_pending(self, now: datetime) -> bool:
        """Tell whether there is something to look through."""
        return bool(self.jobs) or self.round_at is None or self.round_at <= now

    def work(self, db: sqlite3.Connection, now: datetime) -> None:
        """Delete one chunk of one job, inside the caller's transaction."""
        if self.round_at is None or self.round_at <= now:
            self.round_at = now + ROUND
            self.jobs |= dict.fromkeys(jobs_of(db))
        if self.jobs:
            job = next(iter(self.jobs))
            if prune(db, job, oldest=now - self.keep, keep_runs=self.keep_runs) < CHUNK:
                del self.jobs[job]
