"""Which jobs of the record of runs the names on a command line mean; removed jobs are still there."""

from collections.abc import Sequence
from pathlib import Path

from supervisor.cli.groups import groups_at
from supervisor.cli.place import Place
from supervisor.core.names import Unmatched, select
from supervisor.errors import NoSuchJobError
from supervisor.history import query


def recorded(place: Place, path: Path, names: Sequence[str]) -> list[str] | None:
    """Return the jobs and instances that the names mean, recorded or yet to run; None for all of them.

    Raises:
        NoSuchJobError: a name means none.
    """
    if not names:
        return None
    labels = place.labels()
    jobs = dict.fromkeys([*query.recorded_jobs(path), *(label.partition(":")[0] for label in labels)])
    known = tuple(dict.fromkeys([*jobs, *labels]))
    chosen: dict[str, None] = {}
    for name in names:
        job, _, number = name.partition(":")
        if number.isdecimal() and job in jobs:
            chosen[name] = None
            continue
        found = select([name], known)
        if isinstance(found, Unmatched):
            groups = groups_at(place)
            found = select([name], known, groups, tuple(groups))
        if isinstance(found, Unmatched):
            raise NoSuchJobError(str(found))
        chosen |= dict.fromkeys(label if ":" in name else label.partition(":")[0] for label in found)
    return list(chosen)
