"""Observers are told of every change, and none of them can disturb the loop or the others."""

from world import START, long_lived

from supervisor.core.effects import Change
from supervisor.core.events import Elapsed
from supervisor.core.slot import slot_of
from supervisor.observers import Observers


def change() -> Change:
    slot = slot_of(long_lived("web"), 1, None, START)
    return Change(before=slot, after=slot, event=Elapsed(), at=START)


def test_each_observer_is_told_in_order() -> None:
    told: list[tuple[str, Change]] = []
    Observers(print, lambda at: told.append(("one", at)), lambda at: told.append(("two", at))).tell(a := change())
    assert told == [("one", a), ("two", a)]


def test_an_observer_that_fails_is_logged_and_the_next_is_told() -> None:
    said: list[str] = []
    told: list[Change] = []

    def broken(_: Change) -> None:
        raise RuntimeError("no disk")

    Observers(said.append, broken, told.append).tell(a := change())
    assert told == [a]
    assert said == ["observer broken: RuntimeError: no disk (at a change of web)"]
