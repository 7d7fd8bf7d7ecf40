"""Whose ``limits.cpu`` nothing keeps: only a cgroup can, and not every supervisor has the controller for it."""

from collections.abc import Callable

from supervisor.core.job import Job
from supervisor.engine.cgroups import SHARES_CPU, Delegation


class Quotas:
    """The jobs that have a share of CPUs which is not kept."""

    def __init__(self, delegation: Delegation | None, warn: Callable[[str], None]) -> None:
        self._why = _why_not(delegation)
        self._warn = warn
        self._unkept: set[str] = set()

    def note(self, job: Job) -> None:
        """Note the settings with which a run is started; a job is warned of once."""
        if self._why is None or job.process.limits.cpu is None:
            self._unkept.discard(job.name)
        elif job.name not in self._unkept:
            self._unkept.add(job.name)
            self._warn(self._words(job.name))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of them."""
        return (self._words(*sorted(self._unkept)),) if self._unkept else ()

    def _words(self, *jobs: str) -> str:
        return f"limits.cpu is not kept of {', '.join(jobs)}: {self._why}"


def _why_not(delegation: Delegation | None) -> str | None:
    if delegation is None:
        return "there are no cgroups to divide (a unit has them by Delegate=yes)"
    if SHARES_CPU not in delegation.controllers:
        return "the supervisor has no controller for it; it is had at a start at which a job has this limit"
    return None
