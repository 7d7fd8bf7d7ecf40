"""Records as rows. Each is written so that writing it twice changes nothing: a commit that failed may have happened."""

import sqlite3
from collections.abc import Iterable
from typing import assert_never

from supervisor.core.exits import signal_name
from supervisor.core.runs import (
    Attempt,
    Closed,
    Dumped,
    Finalized,
    Forgotten,
    ForgottenGroup,
    NotRun,
    Opened,
    Outcome,
    Printed,
    Record,
    Saved,
    SavedGroup,
)
from supervisor.history.values import group_to_json, saved_to_json, to_instant_micros, to_micros, to_text

_OPEN = """
INSERT INTO runs (run_id, job, instance, lane, due_at, attempt, trigger, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO NOTHING
"""
_CLOSE = """
INSERT INTO runs (
    run_id, job, instance, lane, due_at, attempt, trigger,
    started_at, ended_at, duration, outcome, final, exit_code, signal, cpu, max_rss, reason, fingerprint,
    error_type, error_message, error_file, error_line, traceback
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET
    started_at = excluded.started_at, ended_at = excluded.ended_at, duration = excluded.duration,
    outcome = excluded.outcome, final = coalesce(excluded.final, final),
    exit_code = excluded.exit_code, signal = excluded.signal, cpu = excluded.cpu, max_rss = excluded.max_rss,
    reason = excluded.reason, fingerprint = excluded.fingerprint,
    error_type = excluded.error_type, error_message = excluded.error_message, error_file = excluded.error_file,
    error_line = excluded.error_line, traceback = excluded.traceback
"""
_RETRIED = """
UPDATE runs SET final = 0 WHERE run_id = (
    SELECT run_id FROM runs WHERE job = ? AND instance = ? AND due_at = ? AND run_id < ? ORDER BY run_id DESC LIMIT 1
)
"""
_SAVE = """
INSERT INTO slots (job, instance, lane, saved) VALUES (?, ?, ?, ?)
ON CONFLICT (job, instance, lane) DO UPDATE SET saved = excluded.saved
"""
_SAVE_GROUP = """
INSERT INTO groups (name, saved) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET saved = excluded.saved
"""

REFUSALS = (ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError)
"""What a record raises that no database can hold, such as a number beyond 64 bits."""


def write(db: sqlite3.Connection, records: Iterable[Record]) -> list[tuple[Record, Exception]]:
    """Write records inside the caller's transaction; return those that cannot be stored, and why.

    One bad record must not hold up all others for ever, so it is left out.
    """
    refused: list[tuple[Record, Exception]] = []
    for record in records:
        try:
            _write(db, record)
        except REFUSALS as error:
            refused.append((record, error))
    return refused


def _write(db: sqlite3.Connection, record: Record) -> None:
    match record:
        case Opened(run=run, started_at=started_at):
            db.execute(_OPEN, (*_run(run), to_instant_micros(started_at)))
            _retried(db, run)
        case Closed(run=run):
            db.execute(_CLOSE, (*_run(run), *_end(record)))
            _retried(db, run)
        case NotRun(run=run, at=at, outcome=outcome, reason=reason):
            ended = (None, to_instant_micros(at), None, outcome.value, 1, None, None, None, None, to_text(reason))
            db.execute(_CLOSE, (*_run(run), *ended, *(None,) * 6))
            _retried(db, run)
        case Finalized(run_id=run_id):
            db.execute("UPDATE runs SET final = 1 WHERE run_id = ?", (run_id,))
        case Printed(run_id=run_id, lines=lines):
            db.execute("UPDATE runs SET output = ? WHERE run_id = ?", (to_text("\n".join(lines)), run_id))
        case Dumped(run_id=run_id, stack=stack):
            db.execute("UPDATE runs SET stack = ? WHERE run_id = ?", (to_text(stack), run_id))
        case Saved(slot=slot):
            db.execute(_SAVE, (slot.job, slot.instance, slot.lane, saved_to_json(record)))
        case Forgotten(slot=slot):
            db.execute(
                "DELETE FROM slots WHERE job = ? AND instance = ? AND lane = ?", (slot.job, slot.instance, slot.lane)
            )
        case SavedGroup(group=name):
            db.execute(_SAVE_GROUP, (name, group_to_json(record)))
        case ForgottenGroup(group=name):
            db.execute("DELETE FROM groups WHERE name = ?", (name,))
        case _:
            assert_never(record)


def _run(run: Attempt) -> tuple[object, ...]:
    slot, due_at = run.slot, None if run.due_at is None else to_instant_micros(run.due_at)
    return run.run_id, slot.job, slot.instance, slot.lane, due_at, run.attempt, run.trigger.value


def _end(row: Closed) -> tuple[object, ...]:
    usage, error = row.usage, row.error
    return (
        to_instant_micros(row.started_at),
        to_instant_micros(row.ended_at),
        None if row.outcome is Outcome.LOST else to_micros(row.duration),  # nobody saw the end, so nobody knows
        row.outcome.value,
        1 if row.final else None,
        row.exit_code,
        row.signal,
        to_micros(usage.cpu) if usage else None,
        (usage.max_rss or None) if usage else None,  # a tick's share of its process's peak cannot be measured
        to_text(row.reason) if row.reason is not None else None,
        fingerprint(row),
        to_text(error.type) if error else None,
        to_text(error.message) if error else None,
        to_text(error.file) if error and error.file is not None else None,
        error.line if error else None,
        to_text(error.traceback) if error else None,
    )


def _retried(db: sqlite3.Connection, run: Attempt) -> None:
    """Mark the attempt before a retry as not its due time's last; of a due time only the newest row is."""
    if run.attempt > 1 and run.due_at is not None:
        db.execute(_RETRIED, (run.slot.job, run.slot.instance, to_instant_micros(run.due_at), run.run_id))


def fingerprint(row: Closed) -> str | None:
    """Return what failures that belong together have in common: type and place, else how they ended; None if good."""
    if not row.outcome.is_failure:
        return None
    match row:
        case Closed(outcome=Outcome.TIMEOUT | Outcome.LOST as outcome):
            return outcome.value
        case Closed(error=error) if error is not None:
            return to_text(error.fingerprint)
        case Closed(signal=number) if number is not None:
            return signal_name(number)
        case Closed(exit_code=code) if code is not None:
            return f"exit {code}"
    return to_text(row.reason) if row.reason else row.outcome.value
