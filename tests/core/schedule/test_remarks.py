"""Which valid schedules get a warning, and with which words."""

from datetime import UTC, datetime, timedelta

import pytest

from supervisor.core.schedule import Delay, Every, Reboot, daylight_effects, parse_cron, remarks, zone

BERLIN = zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "remark"),
    [
        ("*/7 * * * *", 'minute field "*/7": 7 does not divide 60, so the last step of each hour is shorter'),
        ("0 */5 * * *", 'hour field "*/5": 5 does not divide 24, so the last step of each day is shorter'),
        ("0 0 */2 * *", 'day-of-month field "*/2": it counts from the 1st, so the last step of a month may be shorter'),
        ("0 0 1 */5 *", 'month field "*/5": 5 does not divide 12, so the last step of each year is shorter'),
        ("0 0 * * */2", 'day-of-week field "*/2": 2 does not divide 7, so the last step of each week is shorter'),
        ("*/60 * * * *", 'minute field "*/60": no hour has so many, so only the first minute matches'),
    ],
)
def test_remarks_a_step_that_does_not_divide_its_round(expression: str, remark: str) -> None:
    assert remarks(parse_cron(expression, UTC), 2026) == (remark,)


def test_remarks_two_day_fields_of_which_either_is_enough() -> None:
    (remark,) = remarks(parse_cron("0 12 13 * fri", BERLIN), 2026)
    assert remark == 'both day fields are set: a date counts if day-of-month "13" or day-of-week "fri" matches'


@pytest.mark.parametrize(
    ("expression", "name", "year", "remark"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            2026,
            "2026-03-29 has no 02:30 in Europe/Berlin: due when the clock has jumped, at 2026-03-29 03:00",
        ),
        (
            "0,30 2 * * *",
            "Europe/Berlin",
            2027,
            "2027-03-28 has no 02:00, 02:30 in Europe/Berlin: due when the clock has jumped, at 2027-03-28 03:00",
        ),
        (
            "0-59 2 * * *",
            "Europe/Berlin",
            2026,
            "2026-03-29 has no 02:00 to 02:59 in Europe/Berlin: due when the clock has jumped, at 2026-03-29 03:00",
        ),
        (
            "@daily",
            "America/Santiago",
            2026,
            "2026-09-06 has no 00:00 in America/Santiago: due when the clock has jumped, at 2026-09-06 01:00",
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            2026,
            "2026-10-04 has no 02:15 in Australia/Lord_Howe: due when the clock has jumped, at 2026-10-04 02:30",
        ),
        (
            "0 12 * * *",
            "Pacific/Apia",
            2011,
            "2011-12-30 has no 12:00 in Pacific/Apia: due when the clock has jumped, at 2011-12-31 00:00",
        ),
    ],
)
def test_remarks_a_fixed_time_in_a_gap_of_the_year(expression: str, name: str, year: int, remark: str) -> None:
    assert remark in remarks(parse_cron(expression, zone(name)), year)


@pytest.mark.parametrize(
    "expression",
    ["0 3 * * *", "59 1 * * *", "30 2 * * 1", "30 2 28 * *", "*/30 2 * * *", "*/15 */6 * * *", "*/1 * * * *"],
)
def test_has_nothing_to_say_about_times_that_each_day_has(expression: str) -> None:
    assert remarks(parse_cron(expression, BERLIN), 2026) == ()


def test_has_nothing_to_say_about_other_schedules() -> None:
    for schedule in (Every(interval=timedelta(minutes=7)), Delay(delay=timedelta(minutes=7)), Reboot()):
        assert remarks(schedule, 2026) == ()


def test_a_gap_at_the_turn_of_the_year_belongs_to_the_year_whose_times_it_takes() -> None:
    cron = parse_cron("0 12 * * *", zone("Pacific/Kiritimati"))
    assert len(remarks(cron, 1994)) == 1
    assert remarks(cron, 1995) == ()


@pytest.mark.parametrize(
    ("expression", "name", "effects"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            (
                "2026-03-29 has no 02:30 in Europe/Berlin: due when the clock has jumped, at 2026-03-29 03:00",
                "2026-10-25 has 02:30 twice in Europe/Berlin: due the first time only",
            ),
        ),
        (
            "*/15 2 * * *",
            "Europe/Berlin",
            (
                "2026-03-29 has no 02:00 to 02:45 in Europe/Berlin: left out, as it follows the clock",
                "2026-10-25 has 02:00 to 02:45 twice in Europe/Berlin: due both times, as it follows the clock",
            ),
        ),
        ("*/15 * * * *", "Europe/Berlin", ()),
        ("0 3 * * *", "Europe/Berlin", ()),
        ("30 2 * * *", "UTC", ()),
        (
            "0 * * * *",
            "Australia/Lord_Howe",
            ("2026-10-04 has no 02:00 in Australia/Lord_Howe: left out, as it follows the clock",),
        ),
    ],
)
def test_daylight_saving_moves_drops_or_doubles_due_times(expression: str, name: str, effects: tuple[str, ...]) -> None:
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert daylight_effects(parse_cron(expression, zone(name)), *year) == effects


def test_a_change_at_the_very_start_of_a_span_belongs_to_the_one_before() -> None:
    cron, changed = parse_cron("30 2 * * *", BERLIN), datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert daylight_effects(cron, changed, changed + timedelta(days=1)) == ()
    assert len(daylight_effects(cron, changed - timedelta(hours=1), changed)) == 1


def test_an_interval_knows_no_daylight_saving() -> None:
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert daylight_effects(Every(interval=timedelta(hours=1)), *year) == ()
