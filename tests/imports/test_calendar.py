import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from supervisor.core.schedule import next_due, parse_cron
from supervisor.imports.calendar import Calendar, NoCronError, parse_calendar

KNOWN = {
    "minutely": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * mon",
    "monthly": "0 0 1 * *",
    "quarterly": "0 0 1 1,4,7,10 *",
    "semiannually": "0 0 1 1,7 *",
    "yearly": "0 0 1 1 *",
    "*-*-* 6,18:00": "0 6,18 * * *",
    "*-*-* 04:30:00": "30 4 * * *",
    "Mon..Fri 22:30": "30 22 * * mon-fri",
    "Mon,Sun 12:05": "5 12 * * mon,sun",
    "Sunday *-*-* 03:10": "10 3 * * sun",
    "Mon..Sun 01:00": "0 1 * * *",
    "*:0/15": "*/15 * * * *",
    "*:5/15": "5-59/15 * * * *",
    "8..18/2:00": "0 8-18/2 * * *",
    "*-*-01,15 00:00": "0 0 1,15 * *",
    "*-*~1": "0 0 L * *",
    "Mon *-*-1..7 05:00": "0 5 * * mon#1",
    "*-02-29": "0 0 29 2 *",
    "*-*-1/10 03:00": "0 3 */10 * *",
    "*-3/4-1": "0 0 1 3-12/4 *",
}


@pytest.mark.parametrize(("text", "cron"), KNOWN.items(), ids=KNOWN)
def test_cron_has_words_for_most(text: str, cron: str) -> None:
    assert parse_calendar(text) == Calendar(cron, None, None)


@pytest.mark.parametrize("text", KNOWN)
def test_systemd_means_the_same_times(text: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    base = datetime(2027, 2, 10, tzinfo=UTC)
    asked = ["systemd-analyze", "calendar", "--iterations=40", f"--base-time={base:%Y-%m-%d %H:%M:%S}", text]
    shown = subprocess.run(
        asked, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    theirs = re.findall(r"(?:elapse|#\d+): \w{3} (\S+ \S+) UTC", shown.stdout)
    schedule = parse_cron(parse_calendar(text).cron or "", UTC)
    at: datetime | None = base.replace(second=0)
    ours: list[str] = []
    while at is not None and len(ours) < len(theirs):
        at = next_due(schedule, at)
        ours += [f"{at:%Y-%m-%d %H:%M:%S}"] if at is not None else []
    assert theirs
    assert ours == theirs


def test_a_zone_may_end_it() -> None:
    assert parse_calendar("*-*-* 04:00 Europe/Berlin") == Calendar("0 4 * * *", None, "Europe/Berlin")
    assert parse_calendar("daily UTC") == Calendar("0 0 * * *", None, "UTC")


def test_seconds_that_divide_a_minute_are_an_interval() -> None:
    assert parse_calendar("*:*:0/10") == Calendar(None, "10s", None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2030-01-01 10:00", "the year 2030"),
        ("*:*:30", "seconds"),
        ("*:*:0/7", "seconds"),
        ("Fri *-*-13", "both a weekday and days"),
        ("*-*~3", "the last alone"),
        ("Sat..Mon 1:00", "no list of weekdays"),
        ("whenever", "no list of weekdays"),
        ("12", "neither a weekday, a date nor a time"),
        ("", "empty"),
    ],
)
def test_what_cron_cannot_say_is_told(text: str, why: str) -> None:
    with pytest.raises(NoCronError, match=why):
        parse_calendar(text)
