"""What ``show`` tells of a job's settings and of its coming due times."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from supervisor.core.job import PROCESS_KEYS, RUN_KEYS, Job
from supervisor.core.kind import Kind
from supervisor.core.manifest.keys import TIMING, WHEN
from supervisor.core.manifest.spelling import shown, spelled
from supervisor.core.schedule import Delay, Schedule, next_due
from supervisor.core.slot import Slot
from supervisor.core.states import Backoff, Idle, Running, Ticking, Waiting

COMING = 5
"""Due times that are told."""


def settings(job: Job, kind: Kind | None = None) -> list[dict[str, Any]]:
    """Return each setting that applies to the job: its key, value, and where it comes from.

    ``origin`` is ``job``, ``group``, ``defaults`` or ``default``; what is not set and has no default is left out.
    """
    out: list[dict[str, Any]] = []
    for key, value in spelled(job).items():
        origin = job.origins.get(key) or (job.origins.get("env_file") if key.startswith("env.") else None)
        if (value is None and origin is None) or not _applies(key.partition(".")[0], job, kind):
            continue
        out.append(
            {
                "key": key,
                "value": shown(key, value),
                "origin": origin.table if origin else "default",
                "where": origin.where if origin else None,
            }
        )
    return out


def _applies(key: str, job: Job, kind: Kind | None) -> bool:
    """Tell whether a key means anything to a job of this kind."""
    if job.schedule is None:
        return key not in TIMING and key not in WHEN
    return key not in (RUN_KEYS if kind is Kind.WORKER else PROCESS_KEYS)


def coming(slot: Slot) -> list[datetime]:
    """Return the next due times of a slot that people want to run; of a ``delay`` only the one that is known."""
    if slot.table is None or slot.paused or not isinstance(slot.state, Waiting | Idle | Running | Ticking | Backoff):
        return []
    return upcoming(slot.table.schedule, slot.table.next_due_at)


def upcoming(schedule: Schedule, first: datetime | None) -> list[datetime]:
    """Return the next due times of a schedule from its first one on."""
    return list(islice(_upcoming(schedule, first), COMING))


def _upcoming(schedule: Schedule, at: datetime | None) -> Iterator[datetime]:
    while at is not None:
        yield at
        at = None if isinstance(schedule, Delay) else next_due(schedule, at)
