"""Making how a job shows that it is ready and well."""

from collections.abc import Mapping
from typing import Any

from supervisor.core.checks import (
    CommandProbe,
    HealthCheck,
    HttpProbe,
    LogMatch,
    Probe,
    Readiness,
    TcpProbe,
    Told,
)
from supervisor.core.manifest.merged import Merged
from supervisor.core.manifest.readers import ReadError
from supervisor.core.manifest.targets import split

_PROBES = ("http", "tcp", "command")


def make_readiness(table: Merged) -> Readiness | None:
    """Return how a job shows that it is ready; None: as soon as its process runs."""
    given = table.values.get("ready")
    match given:
        case None | Told():
            return given
        case {"log": str(pattern), **rest} if not rest:
            return LogMatch(pattern)
    return _probe(table, "ready", given, (*_PROBES, "log"))


def make_health(table: Merged) -> HealthCheck | None:
    """Return how a job's health is looked at."""
    given = table.values.get("health")
    if given is None:
        return None
    probe = _probe(table, "health", {name: value for name, value in given.items() if name in _PROBES}, _PROBES)
    if probe is None:
        return None
    return HealthCheck(probe=probe, **{name: value for name, value in given.items() if name not in _PROBES})


def _probe(table: Merged, key: str, given: Mapping[str, Any], known: tuple[str, ...]) -> Probe | None:
    match given:
        case {"http": str(url), **rest} if not rest:
            return HttpProbe(url)
        case {"tcp": str(endpoint), **rest} if not rest:
            return TcpProbe(endpoint)
        case {"command": command, **rest} if not rest:
            try:
                return CommandProbe(split(command) if isinstance(command, str) else command)
            except ReadError as error:
                table.add((key, "command"), str(error))
                return None
    if not table.has_fault(key):
        table.add((key,), f"names {len(given) or 'no'} probes; expected one of {', '.join(known)}")
    return None
