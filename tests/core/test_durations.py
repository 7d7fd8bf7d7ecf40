import re
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.durations import LONGEST, format_duration, parse_duration, parse_signal, parse_size

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("0.5h", timedelta(minutes=30)),
        ("1h 30m", timedelta(minutes=90)),
        ("48h", timedelta(hours=48)),
        ("1 day", timedelta(days=1)),
        ("2 weeks", timedelta(weeks=2)),
        ("  1 h \t 30 m ", timedelta(minutes=90)),
        ("1w2d3h4m5s6ms", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5, milliseconds=6)),
        ("1.5h30m", timedelta(hours=2)),
        ("0s", timedelta(0)),
        ("007s", timedelta(seconds=7)),
        ("0.0015ms", timedelta(microseconds=2)),
        ("0.1s", timedelta(milliseconds=100)),
        ("100.00001ms", timedelta(milliseconds=100)),
        ("36525 days", LONGEST),
    ],
)
def test_a_duration_is_digits_and_units_in_falling_order(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "words", ["s sec second seconds", "m min minute minutes", "h hr hour hours", "d day days", "w week weeks", "ms"]
)
def test_every_spelling_of_a_unit_means_the_same(words: str) -> None:
    assert len({parse_duration(f"3{word}") for word in words.split()}) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("5x", 'unknown unit "x"; expected e.g. "90s", "5m", "1h30m"'),
        ("5", 'the unit is missing; write "5s", "5m" or "5h"'),
        ("1h30", 'the unit is missing; write "30s", "30m" or "30h"'),
        ("5M", 'did you mean "m"?'),
        ("5 mins", 'did you mean "min"?'),
        ("2 Hours", 'did you mean "hours"?'),
        ("1 month", "months and years differ in length"),
        ("1y", "months and years differ in length"),
        ("-5m", "a duration has no sign"),
        ("+5m", "a duration has no sign"),
        ("5m-3s", "a duration has no sign"),
        ("1e3s", 'unknown unit "e"'),
        ("30m1h", '"h" comes behind a smaller or the same unit'),
        ("1h2h", '"h" comes behind a smaller or the same unit'),
        ("1h 1hour", '"hour" comes behind a smaller or the same unit'),
        (".5h", "a number is missing before .5h"),
        ("5.h", ".h behind 5 is no unit"),
        ("h", "a number is missing before h"),
        ("5m\n", "a number is missing"),
        ("5\u00a0m", "is no unit"),
        ("\u0665m", "a number is missing"),
        ("5µs", "is no unit"),
        ("36526d", "longer than a hundred years"),
        ("9" * 5000 + "s", "longer than 100 characters"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (MICROSECOND, "0.001ms"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(milliseconds=1.5), "1.5ms"),
        (timedelta(microseconds=999_900), "1s"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=59.96), "1m"),
        (timedelta(minutes=4, seconds=57), "4m57s"),
        (timedelta(minutes=90, seconds=5), "1h30m"),
        (timedelta(hours=1, seconds=5), "1h"),
        (timedelta(days=2, hours=4), "2d4h"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_a_duration_is_shown_in_two_parts_at_most(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_a_shown_duration_can_be_read_again_and_is_nearly_the_same(duration: timedelta) -> None:
    again = parse_duration(format_duration(duration))
    assert abs(again - duration) <= max(duration / 20, MICROSECOND)


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_signal):
        with suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 * 2**20), ("2G", 2 * 2**30), ("1 MiB", 2**20), ("3GiB", 3 * 2**30), ("64K", 65536), ("0", 0)],
)
def test_sizes_count_in_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("512m", 'did you mean "512M"?'),
        ("5 MB", 'did you mean "5MiB"?'),
        ("5X", 'unknown unit "X"'),
        ("1.5G", "expected a whole number"),
        ("-1M", "expected a whole number"),
        ("", "expected a whole number"),
        ("9" * 18 + "T", "more bytes than fit"),
    ],
)
def test_other_sizes_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("USR1", 10), ("SIGKILL", 9), ("RTMIN", 34), ("SIGRTMIN+7", 41), ("RTMAX-1", 63)],
)
def test_a_signal_means_the_same_with_and_without_sig(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "SIG", "TERMINATE", "15", "RTMIN+99", "RTMAX-40", "SIGSIGTERM"])
def test_no_other_word_is_a_signal(text: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a signal"):
        parse_signal(text)
