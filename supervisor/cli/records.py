"""Which jobs of the record of runs the names on a command line mean; removed jobs are still there."""

from collections.abc import Sequence
from pathlib import Path

from supervisor.cli.place import Place
from supervisor.core.names import Unmatched, select
from supervisor.errors import NoSuchJobError
from supervisor.history import query


def recorded(place: Place, path: Path, names: Sequence[str]) -> list[str] | None:
    """Return the jobs that the names mean, recorded or yet to run; None for all of them.

    Raises:
        NoSuchJobError: a name means none.
    """
    if not names:
        return None
    known = dict.fromkeys([*query.recorded_jobs(path), *(label.partition(":")[0] for label in place.labels())])
    instances = [name for name in names if ":" in name]
    chosen = select([name for name in names if ":" not in name], tuple(known))
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(str(chosen))
    return [*chosen, *instances]
