"""Time zones by name."""

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from supervisor.core.schedule.values import ScheduleError


def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name such as ``Europe/Berlin``.

    Raises:
        ScheduleError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f'unknown time zone "{name}"; expected an IANA name such as "Europe/Berlin"') from None
