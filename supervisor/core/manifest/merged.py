"""A job's table over the defaults: what counts, and where it is written."""

from collections.abc import Mapping
from typing import Any

from supervisor.core.manifest.keys import JOB, WHEN
from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.tables import Only
from supervisor.core.manifest.wording import Path, dotted
from supervisor.values import dataclass

_INSTEAD = {
    Only.SCHEDULED: "; give the job `every`, `delay`, `cron` or `at`, or remove it",
    Only.LASTING: "; a scheduled command has `retries`",
}


@dataclass(frozen=True, slots=True)
class Merged:
    """The keys of one job, those of the defaults included."""

    source: Source
    path: Path
    values: Mapping[str, Any]
    own: frozenset[str]
    """The keys of the job's own table."""
    problems: Problems

    def add(self, key: Path, what: str) -> None:
        """Note a problem where the key is written; what comes of a default and of the job together, at the job."""
        if key[0] in self.own:
            self.problems.add(self.source, (*self.path, *key), what)
        else:
            self.problems.add(self.source, self.path, f"`{key[0]}` of [defaults] {what}")

    def has_fault(self, key: str) -> bool:
        """Tell whether something within a key has been refused, so that what is left of it says nothing."""
        inside = f"{dotted((*self.path, key))}."
        return any(problem.key.startswith(inside) for problem in self.problems.found)

    def warn(self, key: str, what: str) -> None:
        """Note a warning about a key of the job itself; in the defaults it is there for other jobs."""
        if key in self.own:
            self.problems.warn(self.source, (*self.path, key), what)


def merge(
    source: Source,
    path: Path,
    own: Mapping[str, Any],
    defaults: Mapping[str, Any],
    meant: set[str | None],
    problems: Problems,
) -> Merged:
    """Return a job's keys over the defaults that apply to its kind; its own that do not apply are problems.

    Tables merge key by key, anything else is replaced. ``meant`` are the job's keys, misspelt ones put right.
    """
    applying = _kinds(meant)
    values: dict[str, Any] = {name: value for name, value in defaults.items() if JOB[name].only in applying}
    for name, value in own.items():
        only = JOB[name].only
        if only not in applying:
            problems.add(source, (*path, name), f"applies to {only.value} alone{_INSTEAD.get(only, '')}")
        elif isinstance(value, dict) and isinstance(values.get(name), dict):
            values[name] = values[name] | value
        else:
            values[name] = value
    return Merged(source, path, values, frozenset(own), problems)


def _kinds(meant: set[str | None]) -> set[Only]:
    """Return which keys apply to a job with these keys; whether ``run`` names a Worker only an import tells."""
    is_scheduled = not meant.isdisjoint(WHEN)
    is_run = "run" in meant
    applying = {
        Only.SCHEDULED: is_scheduled,
        Only.EVERY: "every" in meant,
        Only.RUN: is_run,
        Only.COMMAND: "command" in meant,
        Only.LASTING: is_run or not is_scheduled,
    }
    return {Only.ANY, *(only for only, applies in applying.items() if applies)}
