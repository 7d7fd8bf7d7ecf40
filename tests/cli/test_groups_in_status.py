"""Groups as a person sees them: kill a member, and read what ``status`` says of all of them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

MANIFEST = """
[groups.outer]
strategy = "rest_for_one"

[groups.inner]
group = "outer"
strategy = "one_for_all"
backoff = "none"
max_restarts = 1

[jobs.first]
command = ["sleep", "600"]
group = "outer"

[jobs.left]
command = ["sleep", "600"]
group = "inner"

[jobs.right]
command = ["sleep", "600"]
group = "inner"

[jobs.alone]
command = ["sleep", "600"]
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(MANIFEST)
        made.run()
        made.eventually_job("right", state="running")
        yield made


def told(app: Program, *names: str) -> list[list[str]]:
    """Return the words of the lines about groups."""
    _, _, below = app.ctl("status", *names).stdout.partition("\n\n")
    return [line.split() for line in below.splitlines()[1:]]


def kill(app: Program, name: str) -> None:
    pid = app.eventually_job(name, state="running")["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: app.job(name)["pid"] != pid)


def test_status_tells_of_groups_and_of_how_often_they_had_to_restart_a_member(app: Program) -> None:
    assert told(app) == [["outer", "running", "0", "ok"], ["inner", "running", "0", "ok"]]
    kill(app, "left")
    eventually(lambda: told(app) == [["outer", "running", "0", "ok"], ["inner", "running", "1", "ok"]])
    kill(app, "left")
    eventually(lambda: told(app)[1][:3] == ["inner", "failed", "1"])
    assert " ".join(told(app)[1]) == "inner failed 1 failing: gave up, until `jobvisor start inner`"
    assert "group inner gave up" in app.ctl("status", "right").stdout
    assert app.ctl("start", "inner").returncode == 0
    assert told(app)[1] == ["inner", "running", "1", "ok"]


def test_status_of_some_tells_of_the_groups_around_them(app: Program) -> None:
    assert told(app, "alone") == []
    assert [line[0] for line in told(app, "first")] == ["outer"]
    assert [line[0] for line in told(app, "left")] == ["outer", "inner"]
    assert [row["name"] for row in app.json("status", "left")["groups"]] == ["outer", "inner"]


def test_a_stopped_group_is_stopped_in_status(app: Program) -> None:
    assert app.ctl("stop", "inner").returncode == 0
    assert told(app)[1] == ["inner", "stopped", "0", "stopped"]
