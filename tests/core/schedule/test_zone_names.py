"""Which names are time zones."""

from zoneinfo import available_timezones

import pytest

from supervisor.core.schedule import ScheduleError, zone, zone_name


def test_knows_every_zone_of_the_database() -> None:
    for name in available_timezones():
        assert zone_name(zone(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "/",
        "../x",
        "../Europe/Berlin",
        "Europe",
        "Europe/",
        "Europe//Berlin",
        "/usr/share/zoneinfo/Europe/Berlin",
        "/etc/passwd",
        "Mars/Olympus",
        "Berlin",
        " UTC",
        "UTC\n",
        "UTC\0",
        "local",
        "zone.tab",
        "__init__.py",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "+02:00",
        "\ud800",
        "日本",
        "a" * 5000,
        "a/" * 3000,
    ],
)
def test_refuses_other_names_with_a_sentence(name: str) -> None:
    with pytest.raises(ScheduleError, match="unknown time zone"):
        zone(name)
