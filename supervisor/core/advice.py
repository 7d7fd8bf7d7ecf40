"""What is worth a warning in a job that is valid: it may not do what its writer thinks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise

from supervisor.core.durations import format_duration
from supervisor.core.job import Job, Overlap
from supervisor.core.schedule import At, Cron, Every, Schedule, due_between, remarks

_MANY = 100
"""So many coming due times tell how close to each other those of a cron expression lie."""
_FAR = timedelta(days=2 * 366)
_OVERLAPS = {
    Overlap.SKIP: "some are skipped",
    Overlap.QUEUE: "each waits for the one before it",
    Overlap.ALLOW: "they run side by side",
    Overlap.REPLACE: "each is stopped by the next",
}


def advice(job: Job, now: datetime, length: timedelta | None = None) -> Iterator[str]:
    """Yield a sentence for each surprise in a job, with the place and the key that it is about.

    Args:
        job: of a manifest that holds.
        now: tells the year whose daylight saving counts, and what has passed.
        length: how long a run takes, where that is known.
    """
    for key, said in _advice(job, now, length):
        yield f"{job.where}: jobs.{job.name}.{key}: {said}"


def _advice(job: Job, now: datetime, length: timedelta | None) -> Iterator[tuple[str, str]]:
    schedule = job.schedule
    if schedule is None:
        return
    if isinstance(schedule, Cron):
        for said in remarks(schedule, now.astimezone(schedule.zone).year):
            yield "cron", said
    if isinstance(schedule, At) and schedule.at <= now:
        yield "at", f"{schedule.at:%Y-%m-%d %H:%M:%S} UTC has passed, so the job will not run"
    timeout = job.timing.timeout
    interval = None if length is None and timeout is None else shortest_interval(schedule, now)
    if interval is None:
        return
    key, between = "every" if isinstance(schedule, Every) else "cron", format_duration(interval)
    if length is not None and length > interval:
        effect = _OVERLAPS[job.timing.overlap]
        yield key, f"runs take {format_duration(length)} (median), due times are {between} apart: {effect}"
    if timeout is not None and timeout > interval:
        yield "timeout", f"{format_duration(timeout)} is more than the {between} between due times: a run may overlap"


def shortest_interval(schedule: Schedule, now: datetime) -> timedelta | None:
    """Return how close to each other the coming due times lie; None where nothing is known of that."""
    match schedule:
        case Every(interval=interval):
            return interval
        case Cron():
            coming = islice(due_between(schedule, now, now + _FAR), _MANY)
            return min((later - earlier for earlier, later in pairwise(coming)), default=None)
    return None
