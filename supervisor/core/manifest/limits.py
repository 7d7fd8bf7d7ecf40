"""Making the limit of restarts and the delay between them, of a job and of a group."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from supervisor.core.durations import format_duration
from supervisor.core.job import Backoff, Limit
from supervisor.values import replace

_MINUTE = timedelta(minutes=1)


def make_limit(values: Mapping[str, Any], backoff: Backoff | None) -> Limit:
    """Return the limit: what is restarted at once needs one, what backs off is tried for ever."""
    most = values.get("max_restarts", 5 if backoff is None else None)
    return Limit(max_restarts=most, within=values.get("within", _MINUTE))


def make_backoff(given: Mapping[str, Any] | None) -> tuple[Backoff | None, str | None]:
    """Return the back-off and what is wrong with its ``initial``; one above the default of ``max`` raises that."""
    if given is None:
        return None, None
    backoff = Backoff(**given)
    if backoff.initial <= backoff.max:
        return backoff, None
    fault = f"must not be longer than `max`, {format_duration(backoff.max)}" if "max" in given else None
    return replace(backoff, max=backoff.initial), fault
