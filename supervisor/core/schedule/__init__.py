"""When a run is due: pure arithmetic over instants."""

from supervisor.core.schedule.arithmetic import due_between, fingerprint, interval_at, next_due, previous_due
from supervisor.core.schedule.fields import parse_cron
from supervisor.core.schedule.remarks import remarks
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
