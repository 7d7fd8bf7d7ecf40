"""What ``forecast`` prints. Plain ASCII, so that it survives every terminal and file."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from supervisor.cli.table import aligned
from supervisor.core.durations import format_duration
from supervisor.core.forecast import ASSUMED, Forecast, Foreseen
from supervisor.core.job import Job
from supervisor.core.runs import Outcome
from supervisor.core.schedule import zone_name
from supervisor.core.status import iso

FEW = 20
"""Coming runs that are listed."""
MOST_JOBS = 50
"""Jobs that are shown; more make no picture."""
_WIDE = 100
"""Columns where nobody says how many there are: in a file."""
_NARROWEST = 24
"""Columns of a timeline."""
_UNITS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440)
)
"""Of what length a column of a timeline may be."""


def as_mapping(
    forecast: Forecast, zone: tzinfo, shown: AbstractSet[str], lengths: Mapping[str, timedelta]
) -> dict[str, Any]:
    """Return what ``--json`` prints; instants in UTC, dates in the manifest's zone."""
    peak = forecast.peak()
    daylight = [{"job": job.name, "effect": said} for job, said in forecast.daylight() if job.name in shown]
    rows = [row for row in forecast.rows if row.job.name in shown]
    return {
        "from": iso(forecast.since),
        "until": iso(forecast.until),
        "complete": forecast.complete,
        "jobs": [_job(job, own, forecast, zone, lengths) for job, own in _by_job(forecast, shown)],
        "runs": [_row(row) for row in rows],
        "peak": {"runs": peak.runs, "at": iso(peak.at), "jobs": list(peak.labels)},
        "days_without_a_run": [str(day) for day in forecast.quiet_days(zone, forecast.runs)],
        "daylight_saving": daylight,
    }


def _by_job(forecast: Forecast, shown: AbstractSet[str]) -> list[tuple[Job, list[Foreseen]]]:
    """Return the shown jobs with their rows, in manifest order."""
    rows: dict[str, list[Foreseen]] = {job.name: [] for job in forecast.jobs if job.name in shown}
    for row in forecast.rows:
        if row.job.name in shown:
            rows[row.job.name].append(row)
    return [(job, rows[job.name]) for job in forecast.jobs if job.name in shown]


def _job(
    job: Job, rows: Sequence[Foreseen], forecast: Forecast, zone: tzinfo, lengths: Mapping[str, timedelta]
) -> dict[str, Any]:
    outcomes = Counter(row.outcome for row in rows)
    starts = [row for row in rows if row.started_at is not None]
    return {
        "name": job.name,
        "runs": len(starts),
        "skipped": outcomes[Outcome.SKIPPED],
        "missed": outcomes[Outcome.MISSED],
        "timeouts": outcomes[Outcome.TIMEOUT],
        "overlaps": sum(row.overlapped for row in rows),
        "takes_s": lengths.get(job.name, ASSUMED).total_seconds(),
        "assumed": job.name not in lengths,
        "first_at": iso(starts[0].at) if starts else None,
        "days_without_a_run": [str(day) for day in forecast.quiet_days(zone, starts)],
    }


def _row(row: Foreseen) -> dict[str, Any]:
    return {
        "job": row.job.name,
        "instance": row.run.slot.instance,
        "due_at": iso(row.due_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "outcome": row.outcome.value if row.outcome else None,
        "attempt": row.run.attempt,
        "trigger": row.run.trigger.value,
        "waited_for": row.wait.value if row.wait else None,
        "reason": row.reason,
    }


def lines(
    forecast: Forecast,
    zone: tzinfo,
    shown: AbstractSet[str],
    lengths: Mapping[str, timedelta],
    *,
    count: int,
    width: int | None,
) -> list[str]:
    """Return the forecast for people: jobs, timeline, coming runs, and what is to be known of them.

    Args:
        forecast: what is to come.
        zone: in which times and days are said.
        shown: the names of the jobs to show.
        lengths: how long their runs take.
        count: how many runs are listed.
        width: columns of the terminal, which no line exceeds; None in a file.
    """
    jobs = _by_job(forecast, shown)
    made = [
        f"{_stamp(forecast.since, zone)} to {_stamp(forecast.until, zone)} ({zone_name(zone)})",
        *_warnings(forecast, jobs),
        "",
        *_table(jobs[:MOST_JOBS], forecast, zone, lengths),
        "",
        *_timeline(jobs[:MOST_JOBS], forecast, zone, width or _WIDE),
        "",
        *_coming([row for row in forecast.rows if row.job.name in shown], zone, count),
        "",
        *_facts(forecast, zone, shown, lengths),
    ]
    return [line if width is None or len(line) <= width else f"{line[: max(0, width - 1)]}~" for line in made]


def _stamp(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat(" ", "seconds")


def _warnings(forecast: Forecast, jobs: Sequence[object]) -> Iterator[str]:
    if not forecast.complete:
        yield f"ends early, after {len(forecast.rows):,} runs; a shorter --for looks at all of its time"
    if len(jobs) > MOST_JOBS:
        yield f"the first {MOST_JOBS} of {len(jobs):,} jobs are shown; name others to see them, or use --json"
    if not jobs:
        yield "no job that is shown has a schedule and is enabled"


def _table(
    jobs: Sequence[tuple[Job, Sequence[Foreseen]]],
    forecast: Forecast,
    zone: tzinfo,
    lengths: Mapping[str, timedelta],
) -> list[str]:
    head = ("JOB", "RUNS", "TAKES", "OVERLAPS", "SKIPPED", "MISSED", "QUIET DAYS", "FIRST")
    days = len(forecast.days(zone))
    made = []
    for job, rows in jobs:
        told = _job(job, rows, forecast, zone, lengths)
        takes = format_duration(lengths.get(job.name, ASSUMED))
        quiet = len(told["days_without_a_run"])
        numbers = (told[name] for name in ("overlaps", "skipped", "missed"))
        first = next((_stamp(row.at, zone) for row in rows if row.started_at is not None), "-")
        made.append(
            (
                job.name,
                str(told["runs"]),
                f"{takes}?" if told["assumed"] else takes,
                *(str(number or "-") for number in numbers),
                f"{quiet} of {days}" if quiet else "-",
                first,
            )
        )
    return aligned(head, made) if made else []


def _timeline(
    jobs: Sequence[tuple[Job, Sequence[Foreseen]]], forecast: Forecast, zone: tzinfo, width: int
) -> Iterator[str]:
    """Yield a row of marks for each job: how many runs start in a column's time, or go on in it, or are not run."""
    names = max((len(job.name) for job, _ in jobs), default=0)
    columns = max(_NARROWEST, width - names - 2)
    span = forecast.until - forecast.since
    if not jobs or not span:
        return
    unit = next((unit for unit in _UNITS if span <= unit * columns), span / columns)
    used = -(-span // unit)
    yield f"timeline, a column is {format_duration(unit)}: 1-9 runs start, + more, - goes on, x is not run"
    yield f"{'':{names}}  {_scale(forecast, zone, unit, used)}".rstrip()
    for job, rows in jobs:
        yield f"{job.name:{names}}  {_marks(rows, forecast, unit, used)}"


def _scale(forecast: Forecast, zone: tzinfo, unit: timedelta, used: int) -> str:
    """Return a line in which each day is named where it begins, as far as there is room."""
    cells = [" "] * (used + 8)
    free = 0
    for day in _days(forecast, zone):
        begins = datetime(day.year, day.month, day.day, tzinfo=zone)
        column = (begins - forecast.since) // unit
        label = f"|{day:%b %d}"
        if free <= column < used:
            cells[column : column + len(label)] = label
            free = column + len(label) + 1
    return "".join(cells).rstrip()


def _days(forecast: Forecast, zone: tzinfo) -> Iterator[date]:
    day, last = (at.astimezone(zone).date() for at in (forecast.since, forecast.until))
    while day <= last:
        yield day
        day += timedelta(days=1)


def _marks(rows: Sequence[Foreseen], forecast: Forecast, unit: timedelta, used: int) -> str:
    def column(at: datetime) -> int:
        return min(max(0, (at - forecast.since) // unit), used - 1)

    started = Counter(column(row.at) for row in rows if row.started_at is not None)
    marks = ["."] * used
    for row in rows:
        if row.started_at is None:
            marks[column(row.at)] = "x"
        else:
            for going_on in range(column(row.at), column(row.ended_at or forecast.until) + 1):
                if marks[going_on] == ".":
                    marks[going_on] = "-"
    for at, count in started.items():
        marks[at] = str(count) if count < 10 else "+"
    return "".join(marks)


def _coming(rows: Sequence[Foreseen], zone: tzinfo, count: int) -> Iterator[str]:
    made = []
    for row in rows[:count]:
        ends = row.started_at and (_stamp(row.ended_at, zone)[11:19] if row.ended_at else "later")
        due = _stamp(row.due_at, zone)
        starts = _stamp(row.started_at, zone)[11:19] if row.started_at else None
        made.append((due, starts or "-", ends or "-", row.label, _note(row)))
    if made:
        yield from aligned(("DUE", "START", "END", "JOB", "NOTE"), made)
    if len(rows) > count:
        yield f"and {len(rows) - count:,} more; -n lists them, --json has all"


def _note(row: Foreseen) -> str:
    """Return what is not plain about a row: why it waits, or is not run."""
    if row.started_at is None and row.outcome is not None:
        return f"{row.outcome.value}: {row.reason}"
    waited = f"{row.wait.value} {format_duration(row.at - row.due_at)}" if row.wait else ""
    ending = "" if row.outcome in {None, Outcome.OK} else str(row.outcome)
    beside = "beside the run before" if row.run.slot.lane else ""
    return ", ".join(part for part in (waited, beside, ending) if part)


def _facts(
    forecast: Forecast, zone: tzinfo, shown: AbstractSet[str], lengths: Mapping[str, timedelta]
) -> Iterator[str]:
    peak = forecast.peak()
    if peak.at is not None:
        few = ", ".join(peak.labels[:5]) + (" ..." if len(peak.labels) > 5 else "")
        yield f"most at once: {peak.runs}, first at {_stamp(peak.at, zone)} ({few})"
    quiet = forecast.quiet_days(zone, forecast.runs)
    if quiet:
        yield f"days without any run: {_ranges(quiet)}"
    for job, said in forecast.daylight():
        if job.name in shown:
            yield f"{job.name}: {said}"
    assumed = [job.name for job in forecast.jobs if job.name in shown and job.name not in lengths]
    if assumed:
        few = ", ".join(assumed[:5]) + (" ..." if len(assumed) > 5 else "")
        yield f"? a length of {format_duration(ASSUMED)} is assumed where no run has ended well yet: {few}"


def _ranges(days: Sequence[date]) -> str:
    """Return dates as people write them: ``2026-11-28 to 2026-11-29, 2026-12-05``."""
    said = []
    for _, group in groupby(enumerate(days), key=lambda each: each[1] - timedelta(days=each[0])):
        run = [day for _, day in group]
        said.append(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}")
    return ", ".join(said)
