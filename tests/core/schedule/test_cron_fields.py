"""What a cron expression may say, and with which words the rest is refused."""

from datetime import UTC

import pytest

from supervisor.core.schedule import Cron, Reboot, ScheduleError, fingerprint, parse_cron, zone

ALL_DAYS = set(range(1, 32))
ALL_WEEKDAYS = set(range(7))


def cron(expression: str) -> Cron:
    parsed = parse_cron(expression, UTC)
    assert isinstance(parsed, Cron)
    return parsed


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("*", set(range(60))),
        ("0", {0}),
        ("05", {5}),
        ("59", {59}),
        ("1,2,30", {1, 2, 30}),
        ("30,1,1", {1, 30}),
        ("10-13", {10, 11, 12, 13}),
        ("7-7", {7}),
        ("*/20", {0, 20, 40}),
        ("*/7", {0, 7, 14, 21, 28, 35, 42, 49, 56}),
        ("10-30/10", {10, 20, 30}),
        ("10-29/10", {10, 20}),
        ("4-4/2", {4}),
        ("*/90", {0}),
        ("5/20", {5, 25, 45}),
        ("0,10-12,50/5", {0, 10, 11, 12, 50, 55}),
        ("*,5", set(range(60))),
    ],
)
def test_reads_numbers_lists_ranges_and_steps(field: str, minutes: set[int]) -> None:
    assert set(cron(f"{field} * * * *").minutes) == minutes


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [
        ("*", ALL_WEEKDAYS),
        ("0", {0}),
        ("7", {0}),
        ("0,7", {0}),
        ("sun", {0}),
        ("MON", {1}),
        ("Mon-Fri", {1, 2, 3, 4, 5}),
        ("5-7", {5, 6, 0}),
        ("fri-7", {5, 6, 0}),
        ("0-7", ALL_WEEKDAYS),
        ("sun-sat", ALL_WEEKDAYS),
        ("*/2", {0, 2, 4, 6}),
        ("mon/2", {1, 3, 5, 0}),
        ("7/2", {0}),
    ],
)
def test_reads_weekdays_with_sunday_as_0_and_7(field: str, weekdays: set[int]) -> None:
    assert cron(f"0 0 * * {field}").weekdays == weekdays


@pytest.mark.parametrize(
    ("field", "months"),
    [
        ("*", set(range(1, 13))),
        ("jan", {1}),
        ("DEC", {12}),
        ("jan-mar,Oct", {1, 2, 3, 10}),
        ("*/5", {1, 6, 11}),
        ("feb/3", {2, 5, 8, 11}),
    ],
)
def test_reads_months_by_number_and_name(field: str, months: set[int]) -> None:
    assert set(cron(f"0 0 1 {field} *").months) == months


@pytest.mark.parametrize(
    ("field", "days"),
    [("*", ALL_DAYS), ("L", {0}), ("l", {0}), ("1,L", {0, 1}), ("28/1", {28, 29, 30, 31}), ("*/15", {1, 16, 31})],
)
def test_reads_days_of_the_month_with_l_as_the_last(field: str, days: set[int]) -> None:
    assert cron(f"0 0 {field} * *").days == days


@pytest.mark.parametrize(
    ("field", "nth"),
    [
        ("mon#1", {(1, 1)}),
        ("1#1", {(1, 1)}),
        ("7#5", {(0, 5)}),
        ("tue#2,THU#4", {(2, 2), (4, 4)}),
        ("friL", {(5, 0)}),
        ("5L", {(5, 0)}),
        ("7l", {(0, 0)}),
    ],
)
def test_reads_the_nth_and_the_last_weekday_of_the_month(field: str, nth: set[tuple[int, int]]) -> None:
    assert cron(f"0 0 * * {field}").nth_weekdays == nth


def test_reads_weekdays_of_every_week_beside_those_of_one() -> None:
    both = cron("0 0 * * mon,fri#1")
    assert both.weekdays == {1}
    assert both.nth_weekdays == {(5, 1)}


@pytest.mark.parametrize(
    ("alias", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_an_alias_is_the_expression_that_it_stands_for(alias: str, same: str) -> None:
    assert fingerprint(cron(alias)) == fingerprint(cron(same))
    assert (cron(alias).minutes, cron(alias).hours, cron(alias).days) == (
        cron(same).minutes,
        cron(same).hours,
        cron(same).days,
    )
    assert cron(alias).expression == alias


def test_reboot_is_a_schedule_of_its_own() -> None:
    assert parse_cron(" @reboot ", UTC) == Reboot()


def test_fields_may_stand_apart_by_any_blanks() -> None:
    assert fingerprint(cron("  0\t0  * *\n*  ")) == fingerprint(cron("0 0 * * *"))


@pytest.mark.parametrize(
    ("expression", "either"),
    [
        ("0 0 1 * 1", True),
        ("0 0 1-31 * 0-6", True),
        ("0 0 L * friL", True),
        ("0 0 * * 1", False),
        ("0 0 1 * *", False),
        ("0 0 */2 * 1", False),
        ("0 0 1 * */2", False),
        ("0 0 *,1 * 1", False),
    ],
)
def test_both_day_fields_are_joined_by_and_where_one_starts_with_a_star(expression: str, *, either: bool) -> None:
    assert cron(expression).either_day is either


@pytest.mark.parametrize(
    ("expression", "follows"),
    [
        ("* * * * *", True),
        ("*/5 2 * * *", True),
        ("30 * * * *", True),
        ("30 */2 * * *", True),
        ("@hourly", True),
        ("30 2 * * *", False),
        ("0-59 0-23 * * *", False),
        ("0,*/30 2 * * *", False),
        ("@daily", False),
    ],
)
def test_follows_the_clock_where_the_minute_or_hour_field_starts_with_a_star(expression: str, *, follows: bool) -> None:
    assert cron(expression).follows_clock is follows


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("60 * * * *", 'minute field "60": 60 is not in 0..59'),
        ("* 25 * * *", 'hour field "25": 25 is not in 0..23'),
        ("* 24 * * *", 'hour field "24": 24 is not in 0..23'),
        ("* * 0 * *", 'day-of-month field "0": 0 is not in 1..31'),
        ("* * 32 * *", 'day-of-month field "32": 32 is not in 1..31'),
        ("* * * 0 *", 'month field "0": 0 is not in 1..12'),
        ("* * * 13 *", 'month field "13": 13 is not in 1..12'),
        ("* * * * 8", 'day-of-week field "8": 8 is not in 0..7'),
        ("0-60 * * * *", 'minute field "0-60": 60 is not in 0..59'),
        ("1,61 * * * *", 'minute field "61": 61 is not in 0..59'),
        ("61/5 * * * *", 'minute field "61/5": 61 is not in 0..59'),
        ("99999999999999999999 * * * *", "99999999999999999999 is not in 0..59"),
    ],
)
def test_refuses_a_value_out_of_range(expression: str, why: str) -> None:
    assert why in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("30-10 * * * *", 'minute field "30-10": the range "30-10" is reversed'),
        ("* 22-2 * * *", 'hour field "22-2": the range "22-2" is reversed'),
        ("* * * nov-feb *", 'month field "nov-feb": the range "nov-feb" is reversed'),
        ("* * * * sat-sun", 'day-of-week field "sat-sun": the range "sat-sun" is reversed'),
        ("* * * * 7-1", 'day-of-week field "7-1": the range "7-1" is reversed'),
        ("50-10/5 * * * *", 'the range "50-10" is reversed'),
    ],
)
def test_refuses_a_reversed_range(expression: str, why: str) -> None:
    assert why in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 0 ? * *", 'day-of-month field "?": "?" is not supported; write "*"'),
        ("0 0 * * ?", 'day-of-week field "?"'),
        ("H * * * *", 'minute field "H": "H" is not supported'),
        ("H/15 * * * *", 'minute field "H/15": "H" is not supported'),
        ("H(0-29) * * * *", '"H" is not supported'),
    ],
)
def test_refuses_signs_of_other_crons(expression: str, why: str) -> None:
    assert why in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "count"),
    [("", 0), ("   ", 0), ("*", 1), ("0 0 * *", 4), ("0 0 0 * * *", 6), ("0 0 0 1 1 * 2026", 7)],
)
def test_refuses_another_number_of_fields_than_five(expression: str, count: int) -> None:
    assert refusal(expression).startswith(f"{count} field")


def test_says_that_seconds_fields_are_not_supported() -> None:
    assert "seconds" in refusal("*/10 * * * * *")


@pytest.mark.parametrize(
    "expression", ["٣ * * * *", "* \uff13 * * *", "* * ² * *", "* * * * ①", "0\u00a00 0 * * *", "*/٣ * * * *"]
)
def test_refuses_digits_that_are_not_ascii(expression: str) -> None:
    assert "field" in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("mon * * * *", 'minute field "mon": "mon" is a day-of-week, not a minute'),
        ("* JAN * * *", 'hour field "JAN": "JAN" is a month, not a hour'),
        ("* * fri * *", 'day-of-month field "fri": "fri" is a day-of-week'),
        ("* * * mon *", 'month field "mon": "mon" is a day-of-week, not a month'),
        ("* * * * jan", 'day-of-week field "jan": "jan" is a month, not a day-of-week'),
        ("* * * * monday", '"monday" is not a number or a name such as "sun"'),
        ("* * * janv *", '"janv" is not a number or a name such as "jan"'),
    ],
)
def test_refuses_names_in_the_wrong_field(expression: str, why: str) -> None:
    assert why in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("1,,2 * * * *", 'minute field "": a number is missing'),
        (", * * * *", "a number is missing"),
        ("5, * * * *", "a number is missing"),
        ("5- * * * *", 'minute field "5-": a number is missing'),
        ("-5 * * * *", 'minute field "-5": a number is missing'),
        ("/5 * * * *", 'minute field "/5": a number is missing'),
        ("*/ * * * *", 'minute field "*/": the step "" is not a number above 0'),
        ("*/0 * * * *", 'minute field "*/0": the step "0" is not a number above 0'),
        ("*/-1 * * * *", 'the step "-1" is not a number above 0'),
        ("*/x * * * *", 'the step "x" is not a number above 0'),
        ("1/2/3 * * * *", 'the step "2/3" is not a number above 0'),
        ("1-2-3 * * * *", '"2-3" is not a number'),
        ("*5 * * * *", '"*5" is not a number'),
        ("*-5 * * * *", '"*" is not a number'),
        ("+5 * * * *", '"+5" is not a number'),
        ("1.5 * * * *", '"1.5" is not a number'),
        ("x * * * *", '"x" is not a number'),
        ("L * * * *", '"L" is not a number'),
        ("* * 15W * *", '"15W" is not a number'),
        ("* * LW * *", '"LW" is not a number'),
        ("* * L-3 * *", '"L" is not a number'),
        ("* * L/2 * *", '"L" is not a number'),
        ("* * * * L", 'The last Friday of a month is "friL"'),
        ("* * * * mon#0", '"#0" is not in #1..#5'),
        ("* * * * mon#6", '"#6" is not in #1..#5'),
        ("* * * * mon#", '"#" is not in #1..#5'),
        ("* * * * #1", "a number is missing"),
        ("* * * * 8#1", "8 is not in 0..7"),
        ("* * * * 1-5#1", '"1-5" is not a number'),
        ("* * * * 9L", "9 is not in 0..7"),
        ("* * 1#1 * *", '"1#1" is not a number'),
        ("\0 * * * *", "is not a number"),
        ("9" * 5000 + " * * * *", "longer than 1000 characters"),
    ],
)
def test_refuses_what_is_no_list_range_or_step(expression: str, why: str) -> None:
    assert why in refusal(expression)


@pytest.mark.parametrize("expression", ["@", "@often", "@Daily", "@every 5m", "@reboot now", "@daily @daily"])
def test_refuses_an_unknown_alias_and_names_the_known(expression: str) -> None:
    assert "known are @hourly" in refusal(expression)
    assert "@reboot" in refusal(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 *",
        "0 0 31 4 *",
        "0 0 30,31 feb *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 30 2 */2",
        "0 0 */31 * mon#5",
        "0 0 */31 2 monL",
        "0 0 30-31 2 *",
    ],
)
def test_refuses_dates_that_never_come(expression: str) -> None:
    assert "never comes" in refusal(expression)


@pytest.mark.parametrize(
    "expression",
    ["0 0 29 2 *", "0 0 29 2 */7", "0 0 30 2 1", "0 0 * 2 mon#5", "0 0 31 * *", "0 0 */31 * mon#1", "0 0 29 2 *,6"],
)
def test_accepts_dates_that_come_seldom(expression: str) -> None:
    cron(expression)


def test_an_expression_is_equal_by_value_and_hashable() -> None:
    berlin = zone("Europe/Berlin")
    assert parse_cron("0 2 * * *", berlin) == parse_cron("0 2 * * *", berlin)
    assert len({parse_cron("0 2 * * *", berlin), parse_cron("0 2 * * *", berlin), parse_cron("0 3 * * *", berlin)}) == 2


def refusal(expression: str) -> str:
    with pytest.raises(ScheduleError) as caught:
        parse_cron(expression, UTC)
    return str(caught.value)
