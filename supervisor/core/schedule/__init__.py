"""When a run is due: pure arithmetic over instants."""

from supervisor.core.schedule.arithmetic import due_between, fingerprint, interval_at, next_due, previous_due
from supervisor.core.schedule.fields import parse_cron
from supervisor.core.schedule.remarks import daylight_effects, remarks
from supervisor.core.schedule.values import At, Cron, Delay, Every, Reboot, Schedule, ScheduleError
from supervisor.core.schedule.zones import zone, zone_name

__all__ = [
    "At",
    "Cron",
    "Delay",
    "Every",
    "Reboot",
    "Schedule",
    "ScheduleError",
    "daylight_effects",
    "due_between",
    "fingerprint",
    "interval_at",
    "next_due",
    "parse_cron",
    "previous_due",
    "remarks",
    "zone",
    "zone_name",
]
