import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from samples import FEED, INSTANTS, SAVED, SAVED_GROUPS, SPANS, WORDS

from supervisor.core.runs import Saved, SavedGroup
from supervisor.history.values import (
    from_instant_micros,
    from_micros,
    group_from_json,
    group_to_json,
    saved_from_json,
    saved_to_json,
    to_instant_micros,
    to_micros,
    to_text,
)


@given(SAVED)
def test_a_saved_slot_comes_back_as_it_was(saved: Saved) -> None:
    assert saved_from_json(saved.slot, saved_to_json(saved)) == saved


@given(SAVED_GROUPS)
def test_a_saved_group_comes_back_as_it_was(saved: SavedGroup) -> None:
    assert group_from_json(saved.group, group_to_json(saved)) == saved


def test_what_an_earlier_version_has_saved_of_a_slot_has_no_restarts_to_count() -> None:
    earlier = json.loads(saved_to_json(Saved(slot=FEED, runs=3)))
    for key in ("restarted_at", "streak", "gave_up", "scaled"):
        del earlier[key]
    assert saved_from_json(FEED, json.dumps(earlier)) == Saved(slot=FEED, runs=3)


def test_a_due_time_that_was_not_run_was_once_kept_as_the_last_run_and_is_none() -> None:
    earlier = json.loads(saved_to_json(Saved(slot=FEED, runs=3)))
    earlier["last"] = {"run": [7, "feed", 1, 0, "schedule", 0, 1], "at": 0, "outcome": "skipped", "reason": "run 6"}
    assert saved_from_json(FEED, json.dumps(earlier)) == Saved(slot=FEED, runs=3)


@given(INSTANTS, SPANS)
def test_instants_and_durations_are_exact_to_the_microsecond(at: datetime, span: timedelta) -> None:
    assert from_instant_micros(to_instant_micros(at)) == at
    assert from_micros(to_micros(span)) == span


def test_an_instant_of_another_zone_is_read_back_in_utc() -> None:
    in_apia = datetime(2026, 12, 1, 1, 0, tzinfo=timezone(timedelta(hours=13)))
    back = from_instant_micros(to_instant_micros(in_apia))
    assert back == in_apia
    assert back.tzinfo is UTC


@given(WORDS)
def test_any_text_of_a_job_can_be_stored(text: str) -> None:
    assert to_text(text).encode().decode() == to_text(text)


def test_bytes_that_are_no_text_stay_visible() -> None:
    assert to_text(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\udce9"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"anchor": "yesterday"}'])
def test_a_saved_slot_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"saved slot|Expecting value"):
        saved_from_json(FEED, text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"restarts": 1}'])
def test_a_saved_group_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"saved group|Expecting value"):
        group_from_json("g", text)
