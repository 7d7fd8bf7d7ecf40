"""What clients ask of the record of runs: read-only, beside a live supervisor or without one, no event loop needed.

A history that does not exist yet is an empty one. Every function raises ``JobvisorError`` for a file that cannot be
read.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from supervisor.core.exits import ErrorRecord, signal_name
from supervisor.core.runs import RunId
from supervisor.history.files import reading
from supervisor.history.recovery import Recovered, Warn, look, unknown
from supervisor.history.retention import jobs_of
from supervisor.history.values import from_instant_micros, from_micros, to_instant_micros

RECENT = 100
"""Good runs that a median is taken of."""


def runs(
    path: Path,
    *,
    jobs: Sequence[str] | None = None,
    failed: bool = False,
    limit: int | None = None,
    before: RunId | None = None,
    since: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return rows as ``history --json`` prints them, newest first.

    Args:
        path: the database.
        jobs: ``NAME`` or ``NAME:2`` (one instance), patterns resolved; None is every job.
        failed: only runs that failed, timed out, were killed or lost.
        limit: at most so many.
        before: only runs older than this one, for paging.
        since: only runs that ended from then on, or have not ended.
    """
    asked, values = _selection(jobs, since)
    if failed:
        asked += " AND fingerprint IS NOT NULL"
    if before is not None:
        asked += " AND run_id < ?"
        values.append(before)
    sql = f"SELECT * FROM runs WHERE {asked} ORDER BY run_id DESC LIMIT ?"  # noqa: S608  # no value stands in it
    with reading(path) as db:
        found = [] if db is None else db.execute(sql, (*values, -1 if limit is None else limit)).fetchall()
    return [_run(row) for row in found]


def run(path: Path, run_id: RunId) -> dict[str, Any] | None:
    """Return one run as ``runs`` does, with what only ``show`` tells: lane, final, traceback, output, stack."""
    with reading(path) as db:
        row = None if db is None else db.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return None
    return _run(row) | {
        "lane": row["lane"],
        "final": None if row["final"] is None else bool(row["final"]),
        "traceback": row["traceback"] or None,
        "output": None if row["output"] is None else row["output"].split("\n"),
        "stack": row["stack"],
    }


def errors(path: Path, *, jobs: Sequence[str] | None = None, since: datetime | None = None) -> list[dict[str, Any]]:
    """Return failures grouped by job and fingerprint, the one seen last first; with ``since`` only those from then on.

    Each has ``job, fingerprint, count, first_at, last_at, last_run_id, outcome, type, message, file, line``; the last
    five are of the newest of the group. A failure without a Python exception is grouped by how it ended, its
    ``message`` is its reason.
    """
    asked, values = _selection(jobs, since)
    sql = f"""
        SELECT newest.*, count, first_at FROM (
            SELECT max(run_id) AS newest_id, count(*) AS count, min(ended_at) AS first_at FROM runs
            WHERE fingerprint IS NOT NULL AND {asked} GROUP BY job, fingerprint
        ) JOIN runs AS newest ON newest.run_id = newest_id ORDER BY newest.ended_at DESC, newest.run_id DESC
    """  # noqa: S608  # no value stands in it
    with reading(path) as db:
        found = [] if db is None else db.execute(sql, values).fetchall()
    return [
        {
            "job": row["job"],
            "fingerprint": row["fingerprint"],
            "count": row["count"],
            "first_at": _iso(row["first_at"]),
            "last_at": _iso(row["ended_at"]),
            "last_run_id": row["run_id"],
            "outcome": row["outcome"],
            "type": row["error_type"],
            "message": row["reason"] if row["error_type"] is None else row["error_message"],
            "file": row["error_file"],
            "line": row["error_line"],
        }
        for row in found
    ]


def median_durations(path: Path, jobs: Iterable[str]) -> dict[str, timedelta]:
    """Return how long the last good runs of each of these jobs took; one without a good run is left out."""
    with reading(path) as db:
        found = {job: _durations(db, job) for job in jobs} if db is not None else {}
    return {job: from_micros(int(median(durations))) for job, durations in found.items() if durations}


def _durations(db: sqlite3.Connection, job: str) -> list[int]:
    """Return the microseconds that the last good runs of a job took; a Worker's process is no run."""
    sql = (
        "SELECT duration FROM runs WHERE job = ? AND outcome = 'ok' AND duration IS NOT NULL AND due_at IS NOT NULL "
        "ORDER BY run_id DESC LIMIT ?"
    )
    return [row["duration"] for row in db.execute(sql, (job, RECENT))]


def recovered(path: Path, now: datetime, warn: Warn) -> Recovered:
    """Return what a supervisor that started now would find of the ones before it."""
    with reading(path) as db:
        return unknown(now) if db is None else look(db, now, warn)


def recorded_jobs(path: Path) -> list[str]:
    """Return the names of all jobs that have rows, sorted; also of those that the manifest no longer has."""
    with reading(path) as db:
        return [] if db is None else jobs_of(db)


def _selection(jobs: Sequence[str] | None, since: datetime | None) -> tuple[str, list[object]]:
    """Return a condition and its values for jobs named ``NAME`` or ``NAME:2``, and for what ended since an instant."""
    asked, values = _of_jobs(jobs)
    if since is None:
        return asked, values
    return f"{asked} AND (ended_at IS NULL OR ended_at >= ?)", [*values, to_instant_micros(since)]


def _of_jobs(jobs: Sequence[str] | None) -> tuple[str, list[object]]:
    if jobs is None:
        return "TRUE", []
    parts = [label.partition(":") for label in jobs]
    whole: list[object] = [name for name, _, instance in parts if not instance]
    single: list[object] = [value for name, _, instance in parts if instance for value in (name, int(instance))]
    any_of_jobs = ", ".join("?" * len(whole))
    any_of_pairs = ", ".join(["(?, ?)"] * (len(single) // 2)) or "(NULL, NULL)"
    return f"(job IN ({any_of_jobs}) OR (job, instance) IN (VALUES {any_of_pairs}))", whole + single


def _run(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "run_id": row["run_id"],
        "job": row["job"],
        "instance": row["instance"],
        "node": row["node"],
        "due_at": _iso(row["due_at"]),
        "started_at": _iso(row["started_at"]),
        "ended_at": _iso(row["ended_at"]),
        "duration_s": _seconds(row["duration"]),
        "outcome": row["outcome"],
        "attempt": row["attempt"],
        "trigger": row["trigger"],
        "exit_code": row["exit_code"],
        "signal": None if row["signal"] is None else signal_name(row["signal"]),
        "cpu_s": _seconds(row["cpu"]),
        "max_rss_bytes": row["max_rss"],
        "reason": row["reason"],
        "error": _error(row),
    }


def _error(row: sqlite3.Row) -> dict[str, Any] | None:
    if row["error_type"] is None:
        return None
    error = ErrorRecord(
        type=row["error_type"], message=row["error_message"], file=row["error_file"], line=row["error_line"]
    )
    return {
        "type": error.type,
        "message": error.message,
        "file": error.file,
        "line": error.line,
        "fingerprint": error.fingerprint,
    }


def _iso(micros: int | None) -> str | None:
    return None if micros is None else from_instant_micros(micros).isoformat().replace("+00:00", "Z")


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000
