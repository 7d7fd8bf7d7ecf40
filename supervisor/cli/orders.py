"""Orders to jobs: asked of the supervisor, answered job by job, said in one line each."""

import sys
from collections.abc import Sequence
from typing import Any

from supervisor.cli.place import Place


def give(place: Place, method: str, names: Sequence[str], *, wait: bool = True) -> int:
    """Give an order to jobs, say what came of it, and return 0 where all did as asked."""
    return say(place.order(method, {"names": list(names), "wait": wait})["jobs"])


def say(jobs: Sequence[dict[str, Any]]) -> int:
    """Print one line a job, the last lines of output of one that did not come up; return 0 where all are well."""
    for job in jobs:
        print(f"{job['name']}: {job['message']}", file=sys.stdout if job["ok"] else sys.stderr)
        for line in job.get("output", ()):
            print(f"  | {line}", file=sys.stderr)
    return 0 if all(job["ok"] for job in jobs) else 1
