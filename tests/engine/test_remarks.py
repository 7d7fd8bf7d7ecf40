"""What status says of the fork servers, and when it is over."""

import pytest

from supervisor.engine import remarks
from supervisor.engine.remarks import MOST, Remarks


def test_what_stands_is_logged_once_and_goes_with_the_fork_server() -> None:
    logged: list[str] = []
    made = Remarks(logged.append)
    made.stands("jobs.a", "jobs.a is slow")
    made.stands("jobs.a", "jobs.a is slow")
    assert (logged, made.lines) == (["jobs.a is slow"], ("jobs.a is slow",))
    made.stand({"jobs.b": "jobs.b has threads"})
    assert logged[1:] == ["jobs.b has threads"]
    assert made.lines == ("jobs.b has threads",)


def test_an_accident_is_told_for_a_while_and_each_one_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    made = Remarks(logged.append)
    for _ in range(2):
        made.befell("it died")
    [line] = made.lines
    assert line.startswith("it died (last at 20")
    assert logged == ["it died"] * 2
    monkeypatch.setattr(remarks, "RECENT", 0.0)
    made.befell("it died")
    assert made.lines == ()


def test_only_so_many_accidents_are_remembered() -> None:
    made = Remarks(lambda _: None)
    for number in range(1000):
        made.befell(f"accident {number}")
    assert len(made.lines) == MOST
    assert made.lines[-1].startswith("accident 999 ")
