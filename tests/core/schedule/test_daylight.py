"""Cron over clock changes: a table for each zone with its own way to change them. Times are wall times with offset."""

from datetime import UTC, datetime, timedelta

import pytest

from supervisor.core.schedule import Cron, due_between, next_due, parse_cron, previous_due, zone
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """The days around a clock change: which due times stand between two instants."""

    zone: str
    expression: str
    after: str
    upto: str
    dues: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.zone} {self.expression} after {self.after}"

    @property
    def cron(self) -> Cron:
        parsed = parse_cron(self.expression, zone(self.zone))
        assert isinstance(parsed, Cron)
        return parsed


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day(name: str, expression: str, date: str, *dues: str) -> Change:
    """All due times of a local date and no others; ``dues`` are times of that date with offset."""
    place = zone(name)
    start = datetime.fromisoformat(date).replace(tzinfo=place)
    end = (datetime.fromisoformat(date) + timedelta(days=1)).replace(tzinfo=place)
    after, upto = (at.astimezone(UTC) - timedelta(microseconds=1) for at in (start, end))
    return Change(name, expression, after.isoformat(), upto.isoformat(), tuple(f"{date}T{due}" for due in dues))


def check(change: Change) -> None:
    after, upto = instant(change.after), instant(change.upto)
    expected = [instant(due) for due in change.dues]
    assert list(due_between(change.cron, after, upto)) == expected
    backwards, at = [], previous_due(change.cron, upto + timedelta(microseconds=1))
    while at is not None and at > after:
        backwards.append(at)
        at = previous_due(change.cron, at)
    assert backwards[::-1] == expected


BERLIN, SPRING, AUTUMN = "Europe/Berlin", "2026-03-29", "2026-10-25"


@pytest.mark.parametrize(
    "change",
    [
        day(BERLIN, "30 2 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "0 2 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "59 2 29 3 *", SPRING, "03:00+02:00"),
        day(BERLIN, "59 1 * * *", SPRING, "01:59+01:00"),
        day(BERLIN, "0 3 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "30 2 * * 0", SPRING, "03:00+02:00"),
        day("America/New_York", "30 2 * * *", "2026-03-08", "03:00-04:00"),
        day("Europe/London", "30 1 * * *", SPRING, "02:00+01:00"),
        day("Europe/Dublin", "30 1 * * *", SPRING, "02:00+01:00"),
    ],
    ids=str,
)
def test_a_fixed_time_in_the_gap_is_due_at_its_end(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day(BERLIN, "0,15,30,45 2 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "0-59 2 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "0 2,3 * * *", SPRING, "03:00+02:00"),
        day(BERLIN, "30 1,2,3 * * *", SPRING, "01:30+01:00", "03:00+02:00", "03:30+02:00"),
    ],
    ids=str,
)
def test_many_fixed_times_in_the_gap_are_one_due_time(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day(BERLIN, "30 2 * * *", AUTUMN, "02:30+02:00"),
        day(BERLIN, "0 2 * * *", AUTUMN, "02:00+02:00"),
        day(BERLIN, "0 3 * * *", AUTUMN, "03:00+01:00"),
        day(BERLIN, "0,30 2 * * *", AUTUMN, "02:00+02:00", "02:30+02:00"),
        day(
            BERLIN,
            "0,30 1-3 * * 0",
            AUTUMN,
            "01:00+02:00",
            "01:30+02:00",
            "02:00+02:00",
            "02:30+02:00",
            "03:00+01:00",
            "03:30+01:00",
        ),
        day("America/New_York", "30 1 * * *", "2026-11-01", "01:30-04:00"),
        day("Europe/Dublin", "30 1 * * *", AUTUMN, "01:30+01:00"),
    ],
    ids=str,
)
def test_a_fixed_time_in_the_overlap_is_due_on_its_first_pass_alone(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day(BERLIN, "*/30 2 * * *", AUTUMN, "02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"),
        day(
            BERLIN,
            "*/30 1-3 * * *",
            AUTUMN,
            "01:00+02:00",
            "01:30+02:00",
            "02:00+02:00",
            "02:30+02:00",
            "02:00+01:00",
            "02:30+01:00",
            "03:00+01:00",
            "03:30+01:00",
        ),
        Change(
            BERLIN,
            "15 * * * *",
            "2026-10-25T01:20+02:00",
            "2026-10-25T03:15+01:00",
            ("2026-10-25T02:15+02:00", "2026-10-25T02:15+01:00", "2026-10-25T03:15+01:00"),
        ),
        Change(
            BERLIN,
            "15 */2 * * *",
            "2026-10-25T01:20+02:00",
            "2026-10-25T04:15+01:00",
            ("2026-10-25T02:15+02:00", "2026-10-25T02:15+01:00", "2026-10-25T04:15+01:00"),
        ),
    ],
    ids=str,
)
def test_a_starred_minute_or_hour_is_due_in_both_passes(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day(BERLIN, "*/10 2 * * *", SPRING),
        day(BERLIN, "*/30 1-3 * * *", SPRING, "01:00+01:00", "01:30+01:00", "03:00+02:00", "03:30+02:00"),
        Change(BERLIN, "15 * * * *", "2026-03-29T01:15+01:00", "2026-03-29T04:00+02:00", ("2026-03-29T03:15+02:00",)),
        Change(BERLIN, "*/5 2 * * *", "2026-03-28T02:55+01:00", "2026-03-30T02:00+02:00", ("2026-03-30T02:00+02:00",)),
    ],
    ids=str,
)
def test_a_starred_minute_or_hour_makes_nothing_up_in_the_gap(change: Change) -> None:
    check(change)


def test_a_starred_time_that_only_the_gap_would_have_is_never_due() -> None:
    cron = parse_cron("*/5 2 * 3 sunL", zone("Europe/Berlin"))
    assert next_due(cron, instant("2026-01-01T00:00+00:00")) is None


@pytest.mark.parametrize(
    ("restart", "due"),
    [
        ("2026-10-25T02:29:59+02:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30:00+02:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:59:59+02:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:00:00+01:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:10:00+01:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T03:00:00+01:00", "2026-10-26T02:30+01:00"),
    ],
)
def test_a_restart_inside_the_repeated_hour_does_not_run_a_fixed_time_twice(restart: str, due: str) -> None:
    cron = parse_cron("30 2 * * *", zone(BERLIN))
    assert next_due(cron, instant(restart)) == instant(due)


@pytest.mark.parametrize(
    ("restart", "due"),
    [
        ("2026-10-25T02:45+02:00", "2026-10-25T02:00+01:00"),
        ("2026-10-25T02:15+02:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:15+01:00", "2026-10-25T02:30+01:00"),
        ("2026-10-25T02:30+01:00", "2026-10-26T02:00+01:00"),
    ],
)
def test_a_restart_inside_the_repeated_hour_lets_a_starred_time_follow_the_clock(restart: str, due: str) -> None:
    cron = parse_cron("*/30 2 * * *", zone(BERLIN))
    assert next_due(cron, instant(restart)) == instant(due)


@pytest.mark.parametrize(
    ("before", "due"),
    [
        ("2026-10-25T02:10+01:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30+02:00", "2026-10-24T02:30+02:00"),
        ("2026-10-25T04:00+01:00", "2026-10-25T02:30+02:00"),
    ],
)
def test_looking_back_over_the_repeated_hour_finds_the_first_pass(before: str, due: str) -> None:
    cron = parse_cron("30 2 * * *", zone(BERLIN))
    assert previous_due(cron, instant(before)) == instant(due)


LORD_HOWE = "Australia/Lord_Howe"


@pytest.mark.parametrize(
    "change",
    [
        day(LORD_HOWE, "15 2 * * *", "2026-10-04", "02:30+11:00"),
        day(LORD_HOWE, "0,15,30 2 * * *", "2026-10-04", "02:30+11:00"),
        day(LORD_HOWE, "*/15 2 * * *", "2026-10-04", "02:30+11:00", "02:45+11:00"),
        day(LORD_HOWE, "45 1 * * *", "2026-04-05", "01:45+11:00"),
        day(LORD_HOWE, "15 1 * * *", "2026-04-05", "01:15+11:00"),
        day(
            LORD_HOWE,
            "*/15 1 * * *",
            "2026-04-05",
            "01:00+11:00",
            "01:15+11:00",
            "01:30+11:00",
            "01:45+11:00",
            "01:30+10:30",
            "01:45+10:30",
        ),
    ],
    ids=str,
)
def test_lord_howe_shifts_by_thirty_minutes(change: Change) -> None:
    check(change)


CHATHAM = "Pacific/Chatham"


@pytest.mark.parametrize(
    "change",
    [
        day(CHATHAM, "0 3 * * *", "2026-09-27", "03:45+13:45"),
        day(CHATHAM, "30 2 * * *", "2026-09-27", "02:30+12:45"),
        day(CHATHAM, "50 2 * * *", "2026-09-27", "03:45+13:45"),
        day(CHATHAM, "*/30 2-4 * * *", "2026-09-27", "02:00+12:45", "02:30+12:45", "04:00+13:45", "04:30+13:45"),
        day(CHATHAM, "0 3 * * *", "2026-04-05", "03:00+13:45"),
        day(
            CHATHAM,
            "0 * * * *",
            "2026-04-05",
            *(f"0{hour}:00+13:45" for hour in range(4)),
            "03:00+12:45",
            *(f"{hour:02}:00+12:45" for hour in range(4, 24)),
        ),
    ],
    ids=str,
)
def test_chatham_shifts_at_a_quarter_to(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day("America/Santiago", "0 0 * * *", "2026-09-06", "01:00-03:00"),
        day("America/Santiago", "30 0 * * *", "2026-09-06", "01:00-03:00"),
        day("America/Santiago", "@daily", "2026-09-06", "01:00-03:00"),
        day("Asia/Beirut", "0 0 * * *", "2026-03-29", "01:00+03:00"),
        day("Asia/Beirut", "0 0 29 3 *", "2026-03-29", "01:00+03:00"),
        day("Asia/Beirut", "*/30 0 * * *", "2026-03-29"),
        day("Africa/Cairo", "0 0 * * *", "2026-04-24", "01:00+03:00"),
        day("America/Havana", "0 0 * * *", "2026-03-08", "01:00-04:00"),
    ],
    ids=str,
)
def test_a_day_without_midnight_has_its_run_at_the_end_of_the_gap(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        Change(
            "America/Santiago",
            "30 23 * * *",
            "2026-04-04T00:00-03:00",
            "2026-04-05T12:00-04:00",
            ("2026-04-04T23:30-03:00",),
        ),
        Change(
            "America/Santiago",
            "0 0 * * *",
            "2026-04-04T00:00-03:00",
            "2026-04-05T12:00-04:00",
            ("2026-04-05T00:00-04:00",),
        ),
        Change(
            "America/Santiago",
            "*/30 23 4 4 *",
            "2026-04-04T00:00-03:00",
            "2026-04-05T12:00-04:00",
            ("2026-04-04T23:00-03:00", "2026-04-04T23:30-03:00", "2026-04-04T23:00-04:00", "2026-04-04T23:30-04:00"),
        ),
        Change(
            "Asia/Beirut",
            "30 23 * * *",
            "2026-10-24T00:00+03:00",
            "2026-10-25T12:00+02:00",
            ("2026-10-24T23:30+03:00",),
        ),
    ],
    ids=str,
)
def test_a_day_that_ends_twice_runs_fixed_times_once(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        Change(
            "America/St_Johns",
            "0 0 * * *",
            "2010-11-06T12:00-02:30",
            "2010-11-07T12:00-03:30",
            ("2010-11-07T00:00-02:30",),
        ),
        Change(
            "America/St_Johns",
            "30 23 * * *",
            "2010-11-06T12:00-02:30",
            "2010-11-07T12:00-03:30",
            ("2010-11-06T23:30-02:30",),
        ),
        Change(
            "America/St_Johns",
            "0 * * * *",
            "2010-11-06T22:30-02:30",
            "2010-11-07T01:00-03:30",
            ("2010-11-06T23:00-02:30", "2010-11-07T00:00-02:30", "2010-11-07T00:00-03:30", "2010-11-07T01:00-03:30"),
        ),
        Change(
            "America/St_Johns",
            "30 */23 * * *",
            "2010-11-06T22:30-02:30",
            "2010-11-07T01:00-03:30",
            ("2010-11-06T23:30-02:30", "2010-11-06T23:30-03:30", "2010-11-07T00:30-03:30"),
        ),
    ],
    ids=str,
)
def test_st_johns_went_back_over_midnight_a_minute_into_the_day(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        Change(
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-29T00:00-10:00",
            "2012-01-01T00:00+14:00",
            ("2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"),
        ),
        Change(
            "Pacific/Apia",
            "0 0 * * *",
            "2011-12-29T12:00-10:00",
            "2012-01-01T00:00+14:00",
            ("2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"),
        ),
        Change(
            "Pacific/Apia",
            "0 6,18 30 12 *",
            "2011-12-01T00:00-10:00",
            "2012-02-01T00:00+14:00",
            ("2011-12-31T00:00+14:00",),
        ),
        Change(
            "Pacific/Apia",
            "0 */12 * * *",
            "2011-12-29T00:00-10:00",
            "2011-12-31T12:00+14:00",
            ("2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"),
        ),
        Change(
            "Pacific/Kwajalein",
            "0 12 21 8 *",
            "1993-08-01T00:00-12:00",
            "1993-09-01T00:00+12:00",
            ("1993-08-22T00:00+12:00",),
        ),
    ],
    ids=str,
)
def test_a_date_that_does_not_exist_is_a_gap_of_a_whole_day(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day("Antarctica/Troll", "30 1,2 * * *", "2026-03-29", "03:00+02:00"),
        day("Antarctica/Troll", "30 1,2 * * *", "2026-10-25", "01:30+02:00", "02:30+02:00"),
        day("Antarctica/Troll", "30 1-2/1 25 10 *", "2026-10-25", "01:30+02:00", "02:30+02:00"),
        day(
            "Antarctica/Troll", "*/30 2 * * *", "2026-10-25", "02:00+02:00", "02:30+02:00", "02:00+00:00", "02:30+00:00"
        ),
    ],
    ids=str,
)
def test_troll_shifts_by_two_hours(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    "change",
    [
        day("Asia/Kathmandu", "0 2 * * *", SPRING, "02:00+05:45"),
        day("UTC", "30 2 * * *", SPRING, "02:30+00:00"),
        day("Asia/Tokyo", "30 2 * * *", AUTUMN, "02:30+09:00"),
        day("America/Phoenix", "30 2 * * *", "2026-03-08", "02:30-07:00"),
    ],
    ids=str,
)
def test_zones_without_daylight_saving_have_plain_days(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    ("expression", "dues"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 29 2 */7", ["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]),
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ("0 0 L 2 *", ["2026-02-28", "2027-02-28", "2028-02-29"]),
        ("0 0 15,L * *", ["2026-01-15", "2026-01-31", "2026-02-15", "2026-02-28"]),
        ("0 0 * * fri#1", ["2026-01-02", "2026-02-06", "2026-03-06"]),
        ("0 0 * * mon#5", ["2026-03-30", "2026-06-29", "2026-08-31"]),
        ("0 0 * * friL", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 * * 7L", ["2026-01-25", "2026-02-22", "2026-03-29"]),
        ("0 0 13 * fri", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]),
        ("0 0 */13 * fri", ["2026-02-27", "2026-03-27", "2026-05-01", "2026-08-14"]),
        ("0 0 1 * *", ["2026-02-01", "2026-03-01"]),
        ("0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("0 0 * * 0", ["2026-01-04", "2026-01-11"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11"]),
        ("@yearly", ["2027-01-01", "2028-01-01"]),
    ],
)
def test_the_date_fields_choose_these_dates(expression: str, dues: list[str]) -> None:
    cron = parse_cron(expression, UTC)
    at: datetime | None = instant("2026-01-01T00:00+00:00")
    for due in dues:
        assert at is not None
        at = next_due(cron, at)
        assert at == instant(f"{due}T00:00+00:00")
