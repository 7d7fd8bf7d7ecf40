"""When a run is due: pure arithmetic over instants."""

from supervisor.core.schedule.arithmetic import due_between, fingerprint, interval_at, next_due, previous_due, zone_name
from supervisor.core.schedule.fields import parse_cron
from supervisor.core.schedule.values import At, Cron, Delay, Every, Reboot, Schedule, ScheduleError
from supervisor.core.schedule.zones import zone

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
    "zone",
    "zone_name",
]
