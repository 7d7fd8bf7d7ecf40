"""Tells the supervisor's own log what happened to each slot, in sentences."""

from loguru import logger

from supervisor.core.board import Change
from supervisor.core.durations import format_duration
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
from supervisor.core.status import brief


def narrate(change: Change) -> None:
    """Log one change of a slot; failures as warnings, giving up as an error, routine at debug level."""
    before, after = change.before, change.after
    label = after.label
    row = after.tally.last
    if row is not before.tally.last:
        if isinstance(row, NotRun):
            logger.info("{}: due {} {}: {}", label, row.run.due_at, row.outcome.value, row.reason)
        elif isinstance(row, Closed):
            level = "WARNING" if row.outcome.is_failure else "INFO"
            took = format_duration(row.duration)
            logger.log(level, "{}: run {} ended after {}: {}", label, row.run.run_id, took, brief(row))
    if after.problem is not None and after.problem != before.problem:
        logger.error("{}", after.problem)
    if type(after.state) is type(before.state):
        return
    process = process_of(after.state)
    match after.state:
        case Running() | Idle() if process is not None and process_of(before.state) != process:
            logger.info("{}: running, pid {}, run {}", label, process.pid, process.run.run_id)
        case Ticking(tick=tick):
            logger.debug("{}: tick, run {}", label, tick.run_id)
        case Stopping(cause=cause):
            logger.info("{}: stopping ({})", label, cause.value)
        case Backoff(until=until):
            logger.info("{}: next try in {}", label, format_duration(until - change.at.mono))
        case Failed(reason=reason):
            logger.error("{}: {}", label, reason)
        case Finished():
            logger.info("{}: finished", label)
        case Stopped():
            logger.info("{}: stopped", label)
        case Barred():
            logger.debug("{}: blocked", label)
        case Blocked():
            logger.info("{}: waits for max_running", label)
