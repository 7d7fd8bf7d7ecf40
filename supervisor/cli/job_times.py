"""The coming due times of the manifest's jobs, on the grids that are saved of them."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from supervisor.cli.groups import groups_of
from supervisor.cli.place import Place
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.names import Unmatched, select
from supervisor.core.runs import Saved, SlotId
from supervisor.core.schedule import Delay, Every, Schedule, ScheduleError, next_due, parse_cron
from supervisor.core.timetable import schedule_id
from supervisor.errors import JobvisorError, NoSuchJobError
from supervisor.history import query
from supervisor.load import load
from supervisor.values import replace


class JobTimes(NamedTuple):
    """A job and its due times, rising, each reckoned when it is asked for."""

    job: Job
    times: Iterator[datetime]
    out: str | None
    """Why none of them will be served as things stand: ``paused`` or ``stopped``."""


def named(place: Place, words: Sequence[str], start: datetime) -> list[JobTimes] | None:
    """Return the jobs that words name (all where there are none), each with its due times after an instant.

    None where the only word is an expression.

    Raises:
        NoSuchJobError: one of several words names no job.
        JobvisorError: the only word is neither a job nor an expression.
    """
    is_one = len(words) == 1
    if is_one and not (_LIKE_A_NAME.fullmatch(words[0]) and _has_manifest(place)):
        return None
    manifest = load(place.path(), os.environ)
    labels = {job.label(number): job for job in manifest.jobs for number in range(1, job.instances + 1)}
    groups = groups_of(manifest)
    chosen = select(words, tuple(labels), groups, tuple(groups)) if words else list(labels)
    if isinstance(chosen, Unmatched):
        if is_one:
            raise JobvisorError(f'"{words[0]}": {_why_no_expression(words[0])}; and {chosen}')
        raise NoSuchJobError(f"{chosen}; an expression is one word, in quotes")
    names = {labels[label].name for label in chosen}
    jobs = [job for job in manifest.jobs if job.name in names and job.schedule is not None and job.enabled]
    saved = _saved(manifest, start)
    known = [(job, saved.get(SlotId(job.name))) for job in jobs]
    return [JobTimes(job, _of_job(job, slot, start), _out(slot)) for job, slot in known]


def _out(saved: Saved | None) -> str | None:
    if saved is None:
        return None
    return "stopped" if saved.held else "paused" if saved.paused else None


_LIKE_A_NAME = re.compile(r"[A-Za-z0-9*?\[][A-Za-z0-9_*?:\[\]-]*")
"""No cron expression is one word such as this."""


def _why_no_expression(word: str) -> str:
    try:
        parse_cron(word, UTC)
    except ScheduleError as error:
        return str(error)
    raise AssertionError(word)


def _has_manifest(place: Place) -> bool:
    try:
        return os.path.exists(place.manifest)
    except JobvisorError:
        return False


def _saved(manifest: Manifest, now: datetime) -> Mapping[SlotId, Saved]:
    """Return what is saved of the jobs; where that cannot be read it is said, and all count as new."""

    def warn(said: object) -> None:
        print(f"warning: {said}", file=sys.stderr)

    try:
        return query.recovered(Path(manifest.settings.state_dir, "history.db"), now, warn).saved
    except JobvisorError as error:
        warn(error)
        return {}


def _of_job(job: Job, saved: Saved | None, start: datetime) -> Iterator[datetime]:
    """Return the due times of a job after an instant, on the grid that is saved of it; of a ``delay`` only the next."""
    known = saved if saved is not None and saved.fingerprint == schedule_id(job) else None
    match job.schedule:
        case Every() as every:
            anchor = known.anchor if known is not None and known.anchor is not None else start
            return after(replace(every, anchor=anchor), start)
        case Delay() as delay:
            ends = [at for at in (known.ended_at, known.cursor) if at is not None] if known is not None else []
            due = next_due(delay, max(ends, default=start))
            return iter([due] if due is not None and due > start else [])
        case schedule:
            assert schedule is not None
            return after(schedule, start)


def after(schedule: Schedule, start: datetime) -> Iterator[datetime]:
    """Yield the due times of a schedule after an instant, each reckoned when it is asked for."""
    at = next_due(schedule, start)
    while at is not None:
        yield at
        at = next_due(schedule, at)
