"""The system's own time zone."""

import os
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from supervisor.core.schedule import ScheduleError, zone

_LOCALTIME = Path("/etc/localtime")


def local_zone(environ: Mapping[str, str]) -> tzinfo:
    """Return the zone that ``TZ`` names, else /etc/localtime's, else UTC (tzset(3), localtime(5)).

    Raises:
        ScheduleError: ``TZ`` names no zone.
    """
    named = environ.get("TZ", "").removeprefix(":")
    if named:
        return zone(named)
    target = os.path.realpath(_LOCALTIME)
    _, found, name = target.partition("/zoneinfo/")
    if found:
        try:
            return zone(name)
        except ScheduleError:
            return _from_file()
    return _from_file()


def _from_file() -> tzinfo:
    try:
        with _LOCALTIME.open("rb") as content:
            return ZoneInfo.from_file(content, key="local")
    except OSError:
        return UTC
