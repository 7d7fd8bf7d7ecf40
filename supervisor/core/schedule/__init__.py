"""When a run is due: pure arithmetic over instants."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from supervisor.core.instants import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Fixed rate: due k = anchor + offset + k * interval; with ``align_clock`` the anchor is the Unix epoch."""

    interval: timedelta
    offset: timedelta = ZERO
    align_clock: bool = False
    anchor: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Fixed delay: due = end of the last run + delay."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five fields or an alias, in a time zone."""

    expression: str
    zone: tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """One instant, in UTC."""

    at: datetime


Schedule = Every | Delay | Cron | At
