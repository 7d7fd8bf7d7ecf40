"""The system's own time zone."""

import os
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path

from supervisor.core.schedule import ScheduleError, zone

LOCALTIME = Path("/etc/localtime")
_DATABASE = "/zoneinfo/"


def local_zone(environ: Mapping[str, str], localtime: Path = LOCALTIME) -> tzinfo:
    """Return the zone that ``TZ`` names, else the one of /etc/localtime, else UTC (tzset(3), localtime(5)).

    A symbolic link tells the zone's name; a copy of a zone file is a zone called "local". An empty ``TZ`` is UTC.

    Raises:
        ScheduleError: ``TZ`` names no zone of the database (POSIX rules such as ``CET-1CEST`` are none).
    """
    if "TZ" in environ:
        named = environ["TZ"].removeprefix(":")
        return zone(_name(named) or named or "UTC")
    if localtime.is_symlink():
        # the link's own text first: the database links its old names to new ones, and the system was given this one
        for target in (str(localtime.readlink()), os.path.realpath(localtime)):
            try:
                return zone(_name(target))
            except ScheduleError:
                continue
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # seldom needed

    try:
        with localtime.open("rb") as content:
            return ZoneInfo.from_file(content, key="local")
    except (OSError, ValueError):
        return UTC


def _name(path: str) -> str:
    """Return the zone's name in a path such as /usr/share/zoneinfo/Europe/Berlin, else nothing."""
    return path.partition(_DATABASE)[2]
