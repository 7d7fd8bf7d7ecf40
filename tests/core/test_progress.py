"""How far a run says it is, in ``status``."""

from datetime import timedelta
from typing import Any

import pytest
from world import NOON, START, long_lived, worker

from supervisor.core.kind import Kind
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.core.slot import Slot
from supervisor.core.states import Idle, Process, Running, State, Ticking, Waiting
from supervisor.core.status import LONGEST_LEFT, Progress, report
from supervisor.values import replace

RUN = Attempt(run_id=7, slot=SlotId("job"), trigger=Trigger.START)
TICK = replace(RUN, run_id=8, due_at=NOON)
HALF = Progress(run_id=7, done=50.0, total=100.0, note="loading", per_second=2.0)


def shown(state: State, said: Progress | None, *, is_worker: bool = False) -> Any:
    job = worker("job") if is_worker else long_lived("job")
    slot = Slot(id=SlotId("job"), job=job, state=state, kind=Kind.WORKER if is_worker else Kind.FUNCTION)
    progress = {} if said is None else {7: said}
    [row] = report([slot], {}, START, lambda _: "", progress)
    return row["progress"]


def process(*, is_worker: bool = False) -> Process:
    return Process(run=RUN, job=worker("job") if is_worker else long_lived("job"), began=START, pid=1)


def running(said: Progress | None) -> Any:
    return shown(Running(since=START, process=process()), said)


def test_a_run_shows_its_figures_its_rate_and_the_time_left() -> None:
    assert running(HALF) == {"done": 50, "total": 100, "note": "loading", "per_second": 2, "left_s": 25.0}


def test_a_run_that_says_nothing_and_a_slot_without_a_process_show_none() -> None:
    assert running(None) is None
    assert shown(Waiting(START), HALF) is None


@pytest.mark.parametrize(
    "said",
    [
        replace(HALF, total=None),
        replace(HALF, per_second=None),
        replace(HALF, per_second=0.0),
        replace(HALF, done=120.0),
        replace(HALF, per_second=1e-300),
    ],
)
def test_where_nothing_tells_the_time_left_is_unknown(said: Progress) -> None:
    assert running(said)["left_s"] is None
    assert said.left is None


def test_the_time_left_has_a_bound_and_no_figure_breaks_it() -> None:
    assert replace(HALF, total=float("inf")).left is None
    left = replace(HALF, per_second=1e-6).left
    assert left is not None
    assert timedelta(0) < left < LONGEST_LEFT
    assert replace(HALF, per_second=-1.0).left is None


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_json_is_unknown(odd: float) -> None:
    assert running(replace(HALF, done=odd)) is None
    figures = running(replace(HALF, total=odd, per_second=odd))
    assert (figures["total"], figures["per_second"], figures["left_s"]) == (None, None, None)


def test_a_worker_shows_the_tick_in_progress_and_nothing_of_an_earlier_one() -> None:
    host = process(is_worker=True)
    of_tick = replace(HALF, run_id=8)
    ticking = Ticking(since=START, process=host, tick=TICK)
    assert shown(ticking, of_tick, is_worker=True)["done"] == 50
    assert shown(ticking, replace(of_tick, run_id=6), is_worker=True) is None
    assert shown(Idle(START, host), of_tick, is_worker=True) is None
