"""Laws that hold for every cron expression, zone and instant, against two oracles.

One oracle is the same rules said minute by minute. The other is cronsim, where it is right. It is not:
- from inside a repeated hour, where it runs a fixed time again, and for many times in one gap, yielded as often;
- for a range of one with a step: it reads ``4-4/2`` as "from 4 on";
- for expressions that come less than once in fifty years, where it stops.
So it is asked in UTC, in other zones over days without a clock change, and from before a change, doubles dropped.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from zoneinfo import available_timezones

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from minute_by_minute import dues

from supervisor.core.schedule import Cron, ScheduleError, due_between, next_due, parse_cron, previous_due, zone

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """Parts of a field: numbers, ranges of two and more, steps."""
    number = st.integers(low, high)
    span = st.tuples(number, number).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, high)
    starred = st.one_of(st.just("*"), step.map(lambda by: f"*/{by}"))
    stepped = st.tuples(st.one_of(span, number.map(str)), step).map(lambda pair: f"{pair[0]}/{pair[1]}")
    listed = st.lists(st.one_of(number.map(str), span), min_size=1, max_size=3).map(",".join)
    return st.one_of(starred, listed, stepped)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    day = st.one_of(st.just("*"), numbers(1, 31), st.just("L"))
    weekday = st.one_of(
        st.just("*"),
        numbers(0, 7),
        st.tuples(st.integers(0, 7), st.integers(1, 5)).map(lambda pair: f"{pair[0]}#{pair[1]}"),
        st.integers(0, 7).map(lambda number: f"{number}L"),
    )
    month = st.one_of(st.just("*"), st.just("*"), numbers(1, 12))
    fields = (numbers(0, 59), numbers(0, 23), day, month, weekday)
    return " ".join(draw(field) for field in fields)


frequent = st.tuples(numbers(0, 59), numbers(0, 23)).map(lambda fields: f"{fields[0]} {fields[1]} * * *")
instants = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds


def parsed(expression: str, place: tzinfo) -> Cron:
    try:
        cron = parse_cron(expression, place)
    except ScheduleError:
        assume(False)  # a date that never comes
    assert isinstance(cron, Cron)
    return cron


def changes(place: tzinfo, start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    """Return the instants at which a zone's offset changes; two that are nearer than ``every`` may be overlooked."""
    found, at = [], start
    while at < end:
        if at.astimezone(place).utcoffset() != (at + every).astimezone(place).utcoffset():
            low, high = at, at + every
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) // 2).replace(microsecond=0)
                if middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        at += every
    return found


CHANGES = [
    (name, change)
    for name in ZONES
    for change in changes(zone(name), datetime(2010, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), 5 * DAY)
]


@given(expression=expressions(), name=st.sampled_from(ZONES), at=instants)
@settings(deadline=None)
def test_the_next_due_time_is_later_and_the_previous_one_is_its_inverse(
    expression: str, name: str, at: datetime
) -> None:
    cron = parsed(expression, zone(name))
    due = next_due(cron, at)
    assume(due is not None)  # a starred time can be one that only gaps would have
    assert due is not None
    assert due > at
    assert previous_due(cron, due + MICROSECOND) == due
    assert next_due(cron, due - MICROSECOND) == due
    before = previous_due(cron, due)
    assert before is None or before <= at
    assert before is None or next_due(cron, before) == due


@given(expression=frequent, change=st.sampled_from(CHANGES), start=st.timedeltas(-2 * DAY, -timedelta(hours=25)))
@settings(deadline=None, max_examples=60)
def test_due_times_over_a_change_are_those_found_minute_by_minute(
    expression: str, change: tuple[str, datetime], start: timedelta
) -> None:
    name, changed = change
    cron = parsed(expression, zone(name))
    a, b = changed + start, changed + DAY
    expected = dues(cron, a, b)
    assert list(due_between(cron, a, b)) == expected
    assert expected == sorted(set(expected))
    backwards = takewhile(lambda at: at > a, _backwards(cron, b + MICROSECOND))
    assert list(backwards)[::-1] == expected


@given(expression=frequent, change=st.sampled_from(CHANGES), by=st.timedeltas(-25 * HOUR, 25 * HOUR))
@settings(deadline=None, max_examples=60)
def test_a_restart_at_any_instant_around_a_change_goes_on_with_the_same_due_times(
    expression: str, change: tuple[str, datetime], by: timedelta
) -> None:
    name, changed = change
    cron = parsed(expression, zone(name))
    restart = changed + by
    whole = list(due_between(cron, changed - 2 * DAY, changed + 2 * DAY))
    assert list(due_between(cron, restart, changed + 2 * DAY)) == [at for at in whole if at > restart]
    earlier = [at for at in whole if at < restart]
    assert not earlier or previous_due(cron, restart) == earlier[-1]


@given(expression=expressions(), at=instants, name=st.sampled_from(ZONES), days=st.integers(1, 3))
@settings(deadline=None, max_examples=50)
def test_any_expression_agrees_with_the_minute_by_minute_reading(
    expression: str, at: datetime, name: str, days: int
) -> None:
    cron = parsed(expression, zone(name))
    due = next_due(cron, at)
    assume(due is not None and due.year < 2100)
    assert due is not None
    a = due.replace(hour=0, minute=0) - HOUR * 26
    assume(not changes(zone(name), a - 2 * HOUR, a, 2 * HOUR))
    assert dues(cron, a, a + days * DAY) == list(due_between(cron, a, a + days * DAY))


@given(expression=expressions(), at=instants)
@settings(deadline=None)
def test_agrees_with_cronsim_in_utc(expression: str, at: datetime) -> None:
    cron = parsed(expression, UTC)
    ours = list(islice(due_between(cron, at, at + 400 * DAY), 5))
    assert ours == list(islice(takewhile(lambda due: due <= at + 400 * DAY, CronSim(expression, at)), 5))


@given(expression=frequent, at=instants, name=st.sampled_from(ZONES))
@settings(deadline=None)
def test_agrees_with_cronsim_in_other_zones_over_days_without_a_change(
    expression: str, at: datetime, name: str
) -> None:
    place = zone(name)
    assume(not changes(place, at - DAY, at + 3 * DAY, DAY))
    _assert_as_cronsim(expression, place, at, at + 2 * DAY)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Europe/Dublin"])
@given(expression=frequent, data=st.data())
@settings(deadline=None, max_examples=60)
def test_agrees_with_cronsim_over_a_change_from_before_it(name: str, expression: str, data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from([at for place, at in CHANGES if place == name]))
    _assert_as_cronsim(expression, zone(name), changed - DAY, changed + DAY)


def test_all_zones_of_the_database_at_their_changes_of_ten_years_before_and_after() -> None:
    start, end = datetime(2016, 11, 24, tzinfo=UTC), datetime(2036, 11, 24, tzinfo=UTC)
    seen: set[tuple[datetime, timedelta | None, timedelta | None]] = set()
    for name in sorted(available_timezones()):
        place = zone(name)
        for changed in changes(place, start, end, 5 * DAY):
            before, after = ((changed - by).astimezone(place).utcoffset() for by in (MINUTE, timedelta(0)))
            if (changed, before, after) in seen:
                continue  # a link, or a neighbour with the same clock
            seen.add((changed, before, after))
            a, b = changed - 3 * HOUR, changed + 3 * HOUR
            for expression in ("0,10,25,40 0-23 * * *", "*/15 * * * *"):
                cron = parsed(expression, place)
                expected = dues(cron, a, b)
                assert list(due_between(cron, a, b)) == expected, (name, changed, expression)
                backwards = takewhile(lambda at, a=a: at > a, _backwards(cron, b + MICROSECOND))
                assert list(backwards)[::-1] == expected, (name, changed, expression)
    assert len(seen) > 500


def _backwards(cron: Cron, before: datetime) -> Iterator[datetime]:
    at = previous_due(cron, before)
    while at is not None:
        yield at
        at = previous_due(cron, at)


def _assert_as_cronsim(expression: str, place: tzinfo, a: datetime, b: datetime) -> None:
    theirs = (at.astimezone(UTC) for at in CronSim(expression, a.astimezone(place)))
    expected = sorted({at for at in takewhile(lambda at: at <= b, theirs) if at > a})
    assert list(due_between(parsed(expression, place), a, b)) == expected
