from datetime import UTC, datetime, timedelta

from supervisor.core.instants import Now
from supervisor.core.job import Command, Job
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Disabled, Failed, New, State, Stopped, Waiting
from supervisor.core.summary import summary

NOW = Now(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1))


def slot(name: str, state: State | None = None, *, instance: int = 1, lane: int = 0) -> Slot:
    job = Job(name=name, target=Command(argv=("true",)), instances=2 if instance > 1 else 1)
    return Slot(id=SlotId(name, instance, lane), job=job, state=state or Waiting(NOW))


def test_says_that_all_are_well() -> None:
    assert summary([], NOW) == "0 jobs ok"
    assert summary([slot("a")], NOW) == "1 job ok"
    assert summary([slot("a"), slot("b")], NOW) == "2 jobs ok"


def test_counts_neither_disabled_jobs_nor_runs_beside_the_active_one() -> None:
    assert summary([slot("a"), slot("b", Disabled(NOW)), slot("a", lane=1)], NOW) == "1 job ok"


def test_counts_what_starts_and_what_is_stopped_by_hand() -> None:
    assert (
        summary([slot("a"), slot("b", New()), slot("c", Stopped(NOW))], NOW) == "1 of 3 jobs ok, 1 starting, 1 stopped"
    )


def test_names_what_is_in_trouble_and_why() -> None:
    slots = [slot("a"), slot("b", Failed(NOW, "gave up:\n5 restarts"), instance=2)]
    assert summary(slots, NOW) == "1 of 2 jobs ok; b:2 failing: gave up: 5 restarts"


def test_names_the_first_three_in_trouble_and_counts_the_others() -> None:
    slots = [slot(name, Failed(NOW, "exit 1")) for name in "abcde"]
    assert summary(slots, NOW) == (
        "0 of 5 jobs ok; a failing: exit 1; b failing: exit 1; c failing: exit 1; and 2 more"
    )


def test_cuts_a_long_reason() -> None:
    assert len(summary([slot("a", Failed(NOW, "x" * 5000))], NOW)) < 150
