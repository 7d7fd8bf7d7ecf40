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
    Running,
    Stopped,
    Stopping,
    Ticking,
    process_of,
)
from supervisor.core.status import brief, iso


def narrate(change: Change) -> None:
    """Log one change of a slot; failures as warnings, giving up as an error, routine at debug level."""
    before, after = change.before, change.after
    label = after.label
    about = logger.bind(job=after.job.name, instance=after.id.instance)
    row = after.tally.last
    if row is not before.tally.last:
        of_run = about.bind(run_id=row.run.run_id, attempt=row.run.attempt, outcome=row.outcome.value) if row else about
        if isinstance(row, NotRun):
            of_run.info("{}: due {} {}: {}", label, iso(row.run.due_at), row.outcome.value, row.reason)
        elif isinstance(row, Closed):
            level = "WARNING" if row.outcome.is_failure else "INFO"
            took = format_duration(row.duration)
            of_run.log(level, "{}: run {} ended after {}: {}", label, row.run.run_id, took, brief(row))
    if after.problem is not None and after.problem != before.problem:
        about.error("{}", after.problem)
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
