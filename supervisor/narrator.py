"""Tells the supervisor's own log what happened to each slot, in sentences."""

from loguru import logger

from supervisor.core.durations import format_duration
from supervisor.core.effects import Change
from supervisor.core.runs import Closed, NotRun
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Failed,
    Finished,
    Idle,
    New,
    Running,
    Stopped,
    Stopping,
    Ticking,
    process_of,
)
from supervisor.core.status import brief, enough, iso


def narrate(change: Change) -> None:
    """Log one change of a slot; failures as warnings, giving up as an error, routine at debug level."""
    before, after = change.before, change.after
    label = after.label
    about = logger.bind(job=after.job.name, instance=after.id.instance)
    row, not_run = change.ended, after.tally.not_run
    if not_run is not None and not_run is not before.tally.not_run:
        of_run = about.bind(**_marks(not_run))
        of_run.info("{}: due {} {}: {}", label, iso(not_run.run.due_at), not_run.outcome.value, not_run.reason)
    if row is not None:
        level = "WARNING" if row.outcome.is_failure else "INFO"
        took = format_duration(row.duration)
        about.bind(**_marks(row)).log(level, "{}: run {} ended after {}: {}", label, row.run.run_id, took, brief(row))
    if after.paused and not before.paused and after.has_had_enough:
        about.error("{}: {}", label, enough(after))
    if after.fault is not None and after.fault != before.fault:
        about.error("{}", after.fault)
    if type(after.state) is type(before.state):
        return
    process = process_of(after.state)
    match after.state:
        case Running() | Idle() if process is not None and process_of(before.state) != process:
            of_run = about.bind(run_id=process.run.run_id, attempt=process.run.attempt)
            of_run.info("{}: running, pid {}, run {}", label, process.pid, process.run.run_id)
        case Ticking(tick=tick):
            about.debug("{}: tick, run {}", label, tick.run_id)
        case Stopping(cause=cause):
            about.info("{}: stopping ({})", label, cause.value)
        case Backoff(until=until):
            about.info("{}: next try in {}", label, format_duration(until - change.at.mono))
        case Failed(reason=reason) if isinstance(before.state, New):
            about.error("{}: not started, it gave up before ({}); `jobvisor start {}`", label, reason, label)
        case Failed(reason=reason):
            about.error("{}: {}", label, reason)
        case Finished():
            about.info("{}: finished", label)
        case Stopped():
            about.info("{}: stopped", label)
        case Barred():
            about.debug("{}: blocked", label)
        case Blocked():
            about.info("{}: waits for max_running", label)


def _marks(row: Closed | NotRun) -> dict[str, object]:
    """Return what a log of JSON has of a row."""
    return {"run_id": row.run.run_id, "attempt": row.run.attempt, "outcome": row.outcome.value}
