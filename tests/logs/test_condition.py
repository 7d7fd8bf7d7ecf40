"""What status says of output: while it is so, and for a while where nobody can tell that it is over."""

from datetime import timedelta

import pytest

from supervisor.logs import condition
from supervisor.logs.condition import Condition


def test_a_trouble_is_said_when_it_begins_changes_and_ends() -> None:
    warned: list[str] = []
    made = Condition(warned.append)
    for lines in (1, 2):
        made.fails("/logs/web.log", "web", "No space left on device", lines, 0.0, ())
    made.fails("/logs/web.log", "web", "Input/output error", 3, 0.0, ())
    assert [each.partition(" since ")[0] for each in warned] == [
        "log: 1 lines of web dropped: No space left on device",
        "log: 3 lines of web dropped: Input/output error",
    ]
    made.is_well("/logs/web.log")
    made.is_well("/logs/web.log")
    assert warned[2:] == ["log: 3 lines of web dropped: Input/output error since 1970-01-01T00:00:00Z: over"]
    assert made.lines(()) == ()


def test_of_a_file_that_nobody_writes_to_any_more_it_is_said_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Condition(lambda _: None)
    made.fails("/logs/gone.log", "gone", "Not a directory", 1, 0.0, ())
    assert len(made.lines(())) == 1
    monkeypatch.setattr(condition, "RECENT", timedelta(0))
    assert made.lines(()) == ()
    assert len(made.lines({"/logs/gone.log"})) == 1, "somebody writes there: it is so until it is well"
    made.fails("/logs/web.log", "web", "Not a directory", 1, 0.0, ())
    assert len(made.lines({"/logs/gone.log", "/logs/web.log"})) == 1, "what is long over was forgotten"
