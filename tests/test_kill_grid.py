"""A supervisor killed at many moments, on the real clock: what became of every second of a job that is due each."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from program import Program, program

SECOND = timedelta(seconds=1)
MOMENTS = [0.0, 0.05, 0.11, 0.35, 0.6, 0.8, 0.95, 0.99]
"""After a due time, in seconds, at which the supervisor is killed: about its start, its run, its end, the next."""
JOBS = '[jobs.beat]\nrun = "jobs.beat:main"\nevery = "1s"\n'
BEAT = """
import os, time
from supervisor import job

def main():
    with open("ran", "a") as ran:
        ran.write(job.due.isoformat() + "\\n")
    time.sleep(0.1)
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(JOBS, beat=BEAT)
        yield made


def rows(app: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(app.ctl("history", "beat", "-n", "1000", "--json").stdout)
    return found


def kill_at(app: Program, phase: float, fraction: float) -> None:
    """Kill the supervisor so long after a due time of the job."""

    def has_come() -> bool:
        return abs((time.time() - phase) % 1.0 - fraction) < 0.01

    assert app.supervisor is not None
    eventually(has_come)
    app.supervisor.kill()
    app.supervisor.wait()


def test_each_second_has_one_final_row_none_ran_twice_and_the_grid_stays(app: Program) -> None:
    app.run()
    first = eventually(lambda: rows(app))[-1]
    phase = datetime.fromisoformat(first["due_at"]).timestamp() % 1.0
    for moment in MOMENTS:
        kill_at(app, phase, moment)
        before = len(rows(app))
        app.run()
        eventually(lambda before=before: len(rows(app)) > before)
    app.ctl("shutdown")
    found = rows(app)
    due_times = Counter(datetime.fromisoformat(row["due_at"]) for row in found if row["trigger"] != "manual")
    assert set(due_times.values()) == {1}
    earliest, latest = min(due_times), max(due_times)
    assert set(due_times) == {earliest + n * SECOND for n in range((latest - earliest) // SECOND + 1)}
    ran = Counter((app.folder / "ran").read_text().splitlines())
    assert set(ran.values()) == {1}
    served = {datetime.fromisoformat(row["due_at"]) for row in found if row["outcome"] in {"ok", "lost", "stopped"}}
    assert {datetime.fromisoformat(due) for due in ran} <= served
    assert len(ran) >= len(MOMENTS)
