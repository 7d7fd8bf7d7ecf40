"""``every``, ``delay``, ``at`` and ``@reboot``: arithmetic on instants, exact to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core.schedule import (
    At,
    Delay,
    Every,
    Reboot,
    Schedule,
    due_between,
    fingerprint,
    interval_at,
    next_due,
    parse_cron,
    previous_due,
    zone,
)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)


def clock(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-24T{text}+00:00")


def test_every_is_due_first_one_interval_after_the_anchor() -> None:
    every = Every(interval=5 * MINUTE, anchor=NOON)
    assert next_due(every, NOON - HOUR) == clock("12:05")
    assert next_due(every, NOON) == clock("12:05")
    assert previous_due(every, clock("12:05")) is None


def test_every_is_due_strictly_after_and_strictly_before() -> None:
    every = Every(interval=5 * MINUTE, anchor=NOON)
    assert next_due(every, clock("12:05")) == clock("12:10")
    assert next_due(every, clock("12:05") - MICROSECOND) == clock("12:05")
    assert previous_due(every, clock("12:10")) == clock("12:05")
    assert previous_due(every, clock("12:10") + MICROSECOND) == clock("12:10")


def test_an_offset_shifts_the_whole_grid_and_with_it_the_first_due_time() -> None:
    every = Every(interval=HOUR, offset=10 * MINUTE, anchor=NOON)
    assert list(due_between(every, NOON - HOUR, clock("15:10"))) == [clock("13:10"), clock("14:10"), clock("15:10")]
    assert previous_due(every, clock("13:10")) is None


def test_every_with_align_clock_stands_on_the_epoch_whatever_the_anchor() -> None:
    for anchor in (None, clock("12:03")):
        every = Every(interval=5 * MINUTE, align_clock=True, anchor=anchor)
        assert next_due(every, clock("12:03:20")) == clock("12:05")
        assert previous_due(every, clock("12:03:20")) == clock("12:00")


def test_an_aligned_grid_goes_back_past_the_epoch() -> None:
    every = Every(interval=5 * MINUTE, offset=MINUTE, align_clock=True)
    assert previous_due(every, EPOCH) == EPOCH - 4 * MINUTE
    assert next_due(every, EPOCH - HOUR) == EPOCH - 59 * MINUTE


def test_every_without_an_anchor_has_no_grid() -> None:
    every = Every(interval=5 * MINUTE)
    for ask in (next_due, previous_due):
        with pytest.raises(ValueError, match="unanchored"):
            ask(every, NOON)


def test_forty_eight_hours_stay_forty_eight_hours_over_a_clock_change() -> None:
    berlin = zone("Europe/Berlin")
    anchor = datetime(2026, 3, 28, 12, 0, tzinfo=berlin)
    due = next_due(Every(interval=48 * HOUR, anchor=anchor), anchor)
    assert due == anchor.astimezone(UTC) + 48 * HOUR
    assert due.astimezone(berlin).hour == 13


def test_a_grid_of_odd_microseconds_does_not_drift_in_a_hundred_years() -> None:
    interval = timedelta(microseconds=333_333)
    every = Every(interval=interval, anchor=NOON)
    due = next_due(every, NOON + timedelta(days=36_525))
    assert due is not None
    assert (due - NOON) % interval == timedelta(0)


def test_delay_is_due_one_delay_after_the_end_of_the_last_run() -> None:
    delay = Delay(delay=5 * MINUTE)
    assert next_due(delay, clock("12:07")) == clock("12:12")


def test_delay_has_no_grid() -> None:
    delay = Delay(delay=5 * MINUTE)
    assert previous_due(delay, NOON) is None
    assert list(due_between(delay, NOON, NOON + HOUR)) == []


def test_at_is_due_once() -> None:
    at = At(at=NOON)
    assert next_due(at, NOON - MICROSECOND) == NOON
    assert next_due(at, NOON) is None
    assert previous_due(at, NOON) is None
    assert previous_due(at, NOON + MICROSECOND) == NOON
    assert list(due_between(at, NOON - HOUR, NOON)) == [NOON]


def test_reboot_has_no_due_times() -> None:
    assert next_due(Reboot(), NOON) is None
    assert previous_due(Reboot(), NOON) is None
    assert list(due_between(Reboot(), NOON, NOON + HOUR)) == []


SCHEDULES: list[Schedule] = [
    Every(interval=HOUR, anchor=NOON),
    Every(interval=HOUR, anchor=FIRST),
    Every(interval=HOUR, anchor=LAST),
    Every(interval=timedelta(days=36_525), offset=timedelta(days=36_524), anchor=LAST),
    Every(interval=timedelta.max, anchor=NOON),
    Every(interval=timedelta.max, align_clock=True),
    Every(interval=HOUR, align_clock=True),
    Delay(delay=HOUR),
    Delay(delay=timedelta.max),
    At(at=NOON),
    Reboot(),
    *(
        parse_cron(expression, zone(name))
        for expression in ("* * * * *", "0 0 29 2 *", "30 2 * * *", "0 0 31 12 *", "0 0 1 1 *")
        for name in ("UTC", "America/New_York", "Asia/Tokyo", "Pacific/Apia", "Australia/Lord_Howe")
    ),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=fingerprint)
@pytest.mark.parametrize("at", [FIRST, FIRST + HOUR, LAST, LAST - HOUR, datetime.max.replace(tzinfo=timezone(-HOUR))])
def test_the_ends_of_the_calendar_are_no_due_time_and_no_error(schedule: Schedule, at: datetime) -> None:
    after, before = next_due(schedule, at), previous_due(schedule, at)
    assert after is None or after > at
    assert before is None or before < at


def test_minutes_go_on_to_the_end_of_the_calendar() -> None:
    cron = parse_cron("* * * * *", zone("America/New_York"))
    assert next_due(cron, LAST - 2 * MINUTE) == LAST.replace(minute=58, second=0, microsecond=0)
    assert next_due(cron, FIRST) is not None


def test_due_between_is_lazy() -> None:
    every = Every(interval=MINUTE, anchor=NOON)
    assert list(islice(due_between(every, NOON, LAST), 2)) == [clock("12:01"), clock("12:02")]


def test_due_between_excludes_its_start_and_includes_its_end() -> None:
    every = Every(interval=5 * MINUTE, anchor=NOON)
    assert list(due_between(every, clock("12:05"), clock("12:15"))) == [clock("12:10"), clock("12:15")]


@pytest.mark.parametrize("schedule", SCHEDULES[:1] + SCHEDULES[-1:] + [At(at=NOON)], ids=fingerprint)
def test_instants_may_come_in_any_zone_and_go_in_utc(schedule: Schedule) -> None:
    early = clock("11:00")
    due = next_due(schedule, early.astimezone(zone("Asia/Kathmandu")))
    assert due == next_due(schedule, early)
    assert due is not None
    assert due.tzinfo is UTC


def test_a_naive_instant_has_no_place_in_time() -> None:
    for ask in (next_due, previous_due):
        with pytest.raises(ValueError, match="naive"):
            ask(At(at=NOON), NOON.replace(tzinfo=None))


def test_the_interval_at_a_due_time_is_the_distance_to_the_next() -> None:
    assert interval_at(Every(interval=HOUR, anchor=NOON), clock("13:00")) == HOUR
    assert interval_at(Every(interval=HOUR), NOON) == HOUR
    assert interval_at(Delay(delay=HOUR), NOON) == HOUR
    assert interval_at(parse_cron("0 0,12 * * 1-5", UTC), datetime(2026, 11, 27, 12, tzinfo=UTC)) == 60 * HOUR
    assert interval_at(At(at=NOON), NOON) is None
    assert interval_at(Reboot(), NOON) is None


def test_the_interval_of_a_daily_job_is_shorter_over_a_gap() -> None:
    daily = parse_cron("0 12 * * *", zone("Europe/Berlin"))
    assert interval_at(daily, datetime(2026, 3, 28, 11, tzinfo=UTC)) == 23 * HOUR


BERLIN, PARIS = zone("Europe/Berlin"), zone("Europe/Paris")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Every(interval=HOUR), Every(interval=2 * HOUR)),
        (Every(interval=HOUR), Every(interval=HOUR, offset=MINUTE)),
        (Every(interval=HOUR), Every(interval=HOUR, align_clock=True)),
        (Every(interval=HOUR), Delay(delay=HOUR)),
        (Every(interval=HOUR), Every(interval=HOUR + MICROSECOND)),
        (Delay(delay=HOUR), Delay(delay=MINUTE)),
        (At(at=NOON), At(at=NOON + MICROSECOND)),
        (parse_cron("0 2 * * *", BERLIN), parse_cron("0 3 * * *", BERLIN)),
        (parse_cron("0 2 * * *", BERLIN), parse_cron("0 2 * * *", PARIS)),
        (parse_cron("0 2 * * *", BERLIN), parse_cron("@reboot", BERLIN)),
    ],
    ids=fingerprint,
)
def test_an_edit_changes_the_fingerprint(before: Schedule, after: Schedule) -> None:
    assert fingerprint(before) != fingerprint(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Every(interval=HOUR, anchor=NOON), Every(interval=60 * MINUTE)),
        (At(at=NOON), At(at=NOON.astimezone(BERLIN))),
        (parse_cron("0 2 * * MON", BERLIN), parse_cron("0  2 * * mon", BERLIN)),
        (parse_cron("@daily", BERLIN), parse_cron("0 0 * * *", BERLIN)),
    ],
    ids=fingerprint,
)
def test_another_spelling_or_anchor_leaves_the_fingerprint(before: Schedule, after: Schedule) -> None:
    assert fingerprint(before) == fingerprint(after)


def test_the_fingerprint_is_a_saved_text_that_must_stay_as_it_is() -> None:
    assert fingerprint(Every(interval=HOUR, offset=MINUTE)) == "every 3600000000 60000000 seen"
    assert fingerprint(Every(interval=HOUR, align_clock=True)) == "every 3600000000 0 clock"
    assert fingerprint(Delay(delay=MINUTE)) == "delay 60000000"
    assert fingerprint(At(at=NOON)) == "at 2026-11-24T12:00:00+00:00"
    assert fingerprint(parse_cron("@daily", BERLIN)) == "cron 0 0 * * * Europe/Berlin"
    assert fingerprint(Reboot()) == "cron @reboot"


instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds
intervals = st.timedeltas(timedelta(milliseconds=100), timedelta(days=400))


@st.composite
def everies(draw: st.DrawFn) -> Every:
    interval = draw(intervals)
    offset = draw(st.one_of(st.just(timedelta(0)), st.timedeltas(timedelta(0), interval - MICROSECOND)))
    return Every(interval=interval, offset=offset, align_clock=draw(st.booleans()), anchor=draw(instants))


@given(every=everies(), at=instants)
@settings(deadline=None)
def test_every_due_time_is_on_the_grid_and_no_other_is_between(every: Every, at: datetime) -> None:
    due = next_due(every, at)
    assert due is not None
    assert due > at
    base = EPOCH if every.align_clock else every.anchor
    assert base is not None
    assert (due - base - every.offset) % every.interval == timedelta(0)
    if every.align_clock:
        assert due - at <= every.interval
    else:
        assert due >= base + every.offset + every.interval
        assert due - max(at, base + every.offset) <= every.interval


@given(every=everies(), at=instants)
@settings(deadline=None)
def test_previous_due_of_every_is_the_inverse_of_next_due(every: Every, at: datetime) -> None:
    due = next_due(every, at)
    assert due is not None
    assert previous_due(every, due + MICROSECOND) == due
    before = previous_due(every, due)
    assert before is None or before <= at
    assert before is None or next_due(every, before) == due
