"""Which zone "local" is: of TZ, of /etc/localtime's link, of its content, else UTC."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from supervisor.core.schedule import ScheduleError, zone_name
from supervisor.localzone import local_zone

DATABASE = next((Path(folder) for folder in TZPATH if (Path(folder) / "Europe/Berlin").exists()), None)
needs_database = pytest.mark.skipif(DATABASE is None, reason="no zoneinfo files on this system")


@pytest.fixture
def localtime(tmp_path: Path) -> Path:
    return tmp_path / "localtime"


@pytest.mark.parametrize("text", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"])
def test_tz_names_the_zone(text: str, localtime: Path) -> None:
    assert zone_name(local_zone({"TZ": text}, localtime)) == "Europe/Berlin"


def test_an_empty_tz_is_utc(localtime: Path) -> None:
    localtime.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert zone_name(local_zone({"TZ": ""}, localtime)) == "UTC"


@pytest.mark.parametrize("text", ["Mars/Olympus", "CET-1CEST,M3.5.0,M10.5.0/3", "../x"])
def test_a_tz_that_names_no_zone_is_an_error(text: str, localtime: Path) -> None:
    with pytest.raises(ScheduleError, match="unknown time zone"):
        local_zone({"TZ": text}, localtime)


@pytest.mark.parametrize(
    "target",
    ["/usr/share/zoneinfo/Europe/Berlin", "../usr/share/zoneinfo/Europe/Berlin", "/etc/zoneinfo/Europe/Berlin"],
)
def test_a_link_tells_the_name(target: str, localtime: Path) -> None:
    localtime.symlink_to(target)
    assert zone_name(local_zone({}, localtime)) == "Europe/Berlin"


def test_an_old_name_is_kept_as_the_system_was_given_it(localtime: Path) -> None:
    localtime.symlink_to("/usr/share/zoneinfo/US/Pacific")
    assert zone_name(local_zone({}, localtime)) == "US/Pacific"


def test_a_link_to_a_link_tells_the_name(localtime: Path, tmp_path: Path) -> None:
    (tmp_path / "zoneinfo" / "Europe").mkdir(parents=True)
    (tmp_path / "zoneinfo" / "Europe" / "Berlin").write_bytes(b"")
    (tmp_path / "between").symlink_to(tmp_path / "zoneinfo" / "Europe" / "Berlin")
    localtime.symlink_to(tmp_path / "between")
    assert zone_name(local_zone({}, localtime)) == "Europe/Berlin"


@needs_database
def test_a_copy_of_a_zone_file_is_a_zone_called_local(localtime: Path) -> None:
    assert DATABASE is not None
    localtime.write_bytes((DATABASE / "Europe/Berlin").read_bytes())
    found = local_zone({}, localtime)
    assert zone_name(found) == "local"
    summer = datetime(2026, 7, 1, tzinfo=UTC).astimezone(found)
    assert summer.isoformat() == "2026-07-01T02:00:00+02:00"


def test_without_a_readable_zone_it_is_utc(localtime: Path) -> None:
    assert local_zone({}, localtime) is UTC
    localtime.write_bytes(b"no zone")
    assert local_zone({}, localtime) is UTC
    localtime.unlink()
    localtime.symlink_to("/nowhere/at/all")
    assert local_zone({}, localtime) is UTC
    localtime.unlink()
    localtime.mkdir()
    assert local_zone({}, localtime) is UTC
