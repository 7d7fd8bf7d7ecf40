"""Time zones by name."""

from datetime import UTC, tzinfo

from supervisor.core.schedule.values import ScheduleError


def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name such as ``Europe/Berlin``.

    Raises:
        ScheduleError: there is no such zone.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415  # most manifests name no zone

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # ValueError: "", "../x"; OSError: a folder such as "Europe"
        raise ScheduleError(f'unknown time zone "{name}"; expected an IANA name such as "Europe/Berlin"') from None


def zone_name(zone: tzinfo) -> str:
    """Return the name by which a zone is known."""
    return str(getattr(zone, "key", None) or zone)
