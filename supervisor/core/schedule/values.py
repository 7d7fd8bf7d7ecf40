"""The kinds of schedule, as values."""

from datetime import datetime, timedelta, tzinfo

from supervisor.core.instants import ZERO
from supervisor.values import dataclass


class ScheduleError(ValueError):
    """A schedule that cannot be used; the text says which part and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Fixed rate: due k = anchor + offset + k * interval; with ``align_clock`` the anchor is the Unix epoch."""

    interval: timedelta
    offset: timedelta = ZERO
    align_clock: bool = False
    anchor: datetime | None = None
    """When the job was first seen; no due time lies at or before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Fixed delay: due = end of the last run + delay."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five fields in a time zone, parsed. ``parse_cron`` makes it."""

    expression: str
    zone: tzinfo
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    days: frozenset[int]
    """Days of the month; 0 is the last one (``L``)."""
    weekdays: frozenset[int]
    """0 to 6, Sunday is 0."""
    nth_weekdays: frozenset[tuple[int, int]]
    """(weekday, n) for ``dow#n``; n = 0 is the last one of the month (``dowL``)."""
    either_day: bool
    """True where a day counts if either day field matches: both are restricted, none starts with a star."""
    follows_clock: bool
    """True where the minute or hour field starts with a star: both passes of a repeated hour count."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """``@reboot``: once per boot, no due times of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """One instant, in UTC."""

    at: datetime


Schedule = Every | Delay | Cron | Reboot | At
