"""The wall clock set under a running supervisor: that of a User Mode Linux kernel, never that of this machine."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from conftest import eventually
from lab import JOBVISOR, SLOW, Lab

pytestmark = pytest.mark.timeout(300)  # a lab may have to install what it needs

SECOND = timedelta(seconds=1)
MANIFEST = """
[jobs.second]
run = "jobs.beat:beat"
every = "1s"

[jobs.starred]
run = "jobs.beat:beat"
cron = "* * * * *"

[jobs.fixed]
run = "jobs.beat:beat"
cron = "30 12 * * *"
"""
BEAT = "def beat(): pass\n"


@pytest.fixture
def steps(uml: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab with nothing but an application of the test's own in it, not yet started."""
    uml.folder = f"/srv/{request.node.name}"
    uml.write("jobs.toml", MANIFEST)
    uml.write("jobs/beat.py", BEAT)
    yield uml
    uml.ctl("stop", unit(uml))


def unit(machine: Lab) -> str:
    return f"{machine.folder.rpartition('/')[2]}.service"


def start(machine: Lab, at: str) -> None:
    set_to(machine, at)
    machine.run("systemd-run", f"--unit={unit(machine)}", f"--working-directory={machine.folder}", JOBVISOR, "run")
    eventually(lambda: machine.job("second"), within=60)


def set_to(machine: Lab, at: str) -> None:
    machine.run("date", "-u", "-s", at)


def move(machine: Lab, seconds: float) -> None:
    machine.run(sys.executable, "-c", f"import time; time.clock_settime(0, time.time() + {seconds})")


def beats(machine: Lab, more: int) -> None:
    """Wait until the one-second job has run so many times more."""
    before = machine.job("second")["runs"]
    eventually(lambda: machine.job("second")["runs"] >= before + more, within=60)


def dues(machine: Lab, name: str) -> list[datetime]:
    return [datetime.fromisoformat(row["due_at"]) for row in machine.runs(name)]


def rows(machine: Lab, name: str, due: str) -> list[dict[str, Any]]:
    return [row for row in machine.runs(name) if row["due_at"].startswith(due)]


def row(machine: Lab, name: str, due: str) -> dict[str, Any]:
    """Return the one row of a due time, once its run has ended."""
    eventually(lambda: ((machine.job(name)["last"] or {}).get("due_at") or "").startswith(due), within=60)
    [found] = rows(machine, name, due)
    return found


def test_a_large_step_forward_is_missed_by_cron_and_not_noticed_by_every(steps: Lab) -> None:
    start(steps, "2026-03-10 12:00:10")
    beats(steps, 1)
    set_to(steps, "2026-03-10 14:00:20")
    made_up = row(steps, "fixed", "2026-03-10T12:30:00")
    assert (made_up["outcome"], made_up["trigger"]) == ("ok", "catch-up")
    latest = row(steps, "starred", "2026-03-10T14:00:00")
    assert (latest["outcome"], latest["trigger"]) == ("ok", "catch-up")
    missed = [row for row in steps.runs("starred") if row["outcome"] == "missed"]
    assert [row["due_at"][:16] for row in missed] == [
        f"2026-03-10T{hour}:{minute:02}" for hour in (12, 13) for minute in range(60) if (hour, minute) != (12, 0)
    ]
    assert {row["reason"] for row in missed} == {"the clock was set forward"}
    beats(steps, 2)
    gaps = [after - before for before, after in pairwise(dues(steps, "second"))]
    jumps = [gap for gap in gaps if gap != SECOND]
    assert len(jumps) == 1
    assert timedelta(hours=1, minutes=59) < jumps[0] < timedelta(hours=2, seconds=20)
    assert not [row for row in steps.runs("second") if row["reason"] == "the clock was set forward"]
    assert "the wall clock was set forward by " in steps.text("-u", unit(steps))


def test_a_step_back_of_an_hour_repeats_no_fixed_time_and_one_of_more_than_three_is_a_correction(steps: Lab) -> None:
    start(steps, "2026-03-10 12:29:10")
    set_to(steps, "2026-03-10 12:29:59")
    assert row(steps, "fixed", "2026-03-10T12:30:00")["trigger"] == "schedule"
    set_to(steps, "2026-03-10 11:29:59")
    assert row(steps, "starred", "2026-03-10T11:30:00")["trigger"] == "schedule"
    assert steps.job("fixed")["next_due_at"] == "2026-03-11T12:30:00Z"
    assert dues(steps, "second")[-1] < datetime(2026, 3, 10, 12, tzinfo=UTC)
    set_to(steps, "2026-03-10 08:00:00")
    beats(steps, 1)
    assert steps.job("fixed")["next_due_at"] == "2026-03-10T12:30:00Z"
    first = steps.job("fixed")["last"]["run_id"]
    set_to(steps, "2026-03-10 12:29:59")
    eventually(lambda: steps.job("fixed")["last"]["run_id"] > first, within=60)
    assert len(rows(steps, "fixed", "2026-03-10T12:30:00")) == 2


@SLOW
def test_small_steps_move_no_grid_and_repeat_nothing(steps: Lab) -> None:
    start(steps, "2026-03-10 12:29:10")
    set_to(steps, "2026-03-10 12:29:55")
    for seconds in (-0.3, 0.3):
        move(steps, seconds)
        beats(steps, 1)
    row(steps, "fixed", "2026-03-10T12:30:00")
    row(steps, "starred", "2026-03-10T12:30:00")
    gaps = [after - before for before, after in pairwise(dues(steps, "second"))]
    assert len([gap for gap in gaps if gap != SECOND]) <= 1
    assert steps.text("-u", unit(steps)).count("the wall clock was set") == 1


def test_a_fixed_time_that_has_run_is_not_due_again_when_the_clock_is_set_back_over_it(steps: Lab) -> None:
    start(steps, "2026-03-10 12:29:10")
    set_to(steps, "2026-03-10 12:29:59")
    row(steps, "fixed", "2026-03-10T12:30:00")
    set_to(steps, "2026-03-10 12:29:50")
    eventually(lambda: steps.job("fixed")["next_due_at"] == "2026-03-11T12:30:00Z")
    steps.ctl("stop", unit(steps))
    start(steps, "2026-03-10 12:29:40")
    assert steps.job("fixed")["next_due_at"] == "2026-03-11T12:30:00Z"
    assert len(rows(steps, "fixed", "2026-03-10T12:30:00")) == 1
