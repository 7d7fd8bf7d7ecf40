"""What an operator finds after the supervisor was started again: give-up, limits and the number of instances."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

MANIFEST = """
[jobs.broken]
command = ["false"]
backoff = "none"
max_restarts = 2

[groups.pair]
strategy = "one_for_all"
backoff = "none"
max_restarts = 1

[jobs.left]
command = ["sleep", "600"]
group = "pair"

[jobs.right]
command = ["sleep", "600"]
group = "pair"

[jobs.web]
command = ["sleep", "600"]
instances = 2
settle = "10ms"
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(MANIFEST)
        made.run()
        yield made


def states(app: Program) -> dict[str, str]:
    found = app.json("status")
    rows = {f"{row['name']}:{row['instance']}": row["state"] for row in found["jobs"]}
    return rows | {row["name"]: row["state"] for row in found["groups"]}


def kill_left(app: Program) -> None:
    pid = app.eventually_job("left", state="running")["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: app.job("left")["pid"] != pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_person_has_to_see_to_is_still_there_after_a_restart(app: Program, how: signal.Signals) -> None:
    app.eventually_job("broken", state="failed")
    kill_left(app)
    kill_left(app)
    assert app.ctl("scale", "web=3").returncode == 0
    eventually(lambda: states(app)["pair"] == "failed")
    before = states(app)
    os.kill(app.pid, how)
    app.run()
    eventually(lambda: states(app) == before)
    assert before == before | {"broken:1": "failed", "left:1": "failed", "right:1": "blocked"}
    assert "broken: not started, it gave up before (gave up after 2 restarts in 1m: exit 1)" in app.log
    assert bool(re.search(r"web:2: run \d+ was lost", app.log)) is (how is signal.SIGKILL)
    assert app.ctl("status").returncode == 3
    assert app.ctl("start", "pair").returncode == 0
    assert (states(app)["left:1"], states(app)["pair"]) == ("running", "running")


def test_a_limit_counts_on_where_the_supervisor_before_left_it(app: Program) -> None:
    kill_left(app)
    app.eventually_job("left", state="running")
    os.kill(app.pid, signal.SIGKILL)
    app.run()
    kill_left(app)
    eventually(lambda: states(app)["pair"] == "failed")
