"""Which jobs of the record of runs the names on a command line mean; removed jobs are still there."""

from collections.abc import Sequence
from pathlib import Path

from supervisor.core.names import Unmatched, select
from supervisor.errors import NoSuchJobError
from supervisor.history import query


def recorded(path: Path, names: Sequence[str]) -> list[str] | None:
    """Return the recorded jobs that the names mean, None for all of them.

    Raises:
        NoSuchJobError: a name means none.
    """
    if not names:
        return None
    plain = [name for name in names if ":" in name]
    chosen = select([name for name in names if ":" not in name], query.recorded_jobs(path))
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(f"{chosen.name}: no run of it is recorded")
    return [*chosen, *plain]
