"""Making the schedule of a job, in its time zone."""

from datetime import UTC, datetime, timedelta, tzinfo

from supervisor.core.durations import format_duration
from supervisor.core.instants import ZERO
from supervisor.core.manifest.merged import Merged
from supervisor.core.manifest.settings import Surroundings
from supervisor.core.manifest.wording import quoted
from supervisor.core.schedule import At, Cron, Delay, Every, Reboot, Schedule, ScheduleError, parse_cron, zone_name
from supervisor.values import dataclass, field


@dataclass(slots=True)
class Schedules:
    """Makes schedules; a zone or an expression that several jobs have is looked at once."""

    around: Surroundings
    timezone: str
    """Of jobs without their own."""
    _zones: dict[str, tzinfo] = field(default_factory=dict)
    _crons: dict[tuple[str, str], Cron | Reboot] = field(default_factory=dict)

    def zone(self, table: Merged) -> tuple[str, tzinfo]:
        """Return a job's time zone, by the name that the manifest gives it and as it is."""
        name = table.values.get("timezone", self.timezone)
        known = self._zones.get(name)
        if known is not None:
            return name, known
        try:
            return name, self._zones.setdefault(name, self.around.zone(name))
        except ScheduleError as error:
            table.add(("timezone",), str(error))
            return "UTC", UTC

    def schedule(self, table: Merged, named: str, zone: tzinfo) -> Schedule | None:
        """Return a job's schedule, or None where it has none, or a problem was noted."""
        match table.values:
            case {"every": interval}:
                return _every(table, interval)
            case {"delay": delay}:
                return Delay(delay=delay)
            case {"cron": expression}:
                return self._cron(table, expression, named, zone)
            case {"at": at}:
                return _at(table, at, zone)
        return None

    def _cron(self, table: Merged, expression: str, named: str, zone: tzinfo) -> Cron | Reboot | None:
        known = self._crons.get((expression, named))
        if known is not None:
            return known
        try:
            return self._crons.setdefault((expression, named), parse_cron(expression, zone))
        except ScheduleError as error:
            table.add(("cron",), f"{quoted(expression)} is not a schedule: {error}")
            return None


def _every(table: Merged, interval: timedelta) -> Every:
    offset = table.values.get("offset", ZERO)
    if offset >= interval:
        table.add(("offset",), f"must be less than `every`, {format_duration(interval)}")
    return Every(interval=interval, offset=offset, align_clock=table.values.get("align", False))


def _at(table: Merged, at: datetime, zone: tzinfo) -> At | None:
    """Return one instant.

    A local time that the clock shows twice is its first pass; one that the clock jumps over is read by the offset
    before the jump (RFC 5545, section 3.3.5), which is warned of.
    """
    try:
        instant = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
        shown = instant.astimezone(zone)
    except OverflowError:
        table.add(("at",), f"found {at}; expected a date within the years 1 to 9999 of UTC")
        return None
    if at.tzinfo is None and shown.replace(tzinfo=None) != at:
        what = f"{at} does not exist in {zone_name(zone)}, the clock jumps over it; due at {shown.isoformat()}"
        table.warn("at", what)
    return At(at=instant)
