"""Orders to jobs that are really there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

MANIFEST = """
[jobs.web]
command = ["sleep", "600"]
settle = "100ms"
[jobs.off]
command = ["sleep", "600"]
enabled = false
[groups.shop]
[groups.inner]
group = "shop"
[jobs.tick]
command = ["echo", "tick"]
every = "1h"
run_at_start = true
group = "inner"
[jobs.shelf]
command = ["sh", "-c", "echo shelf; exec sleep 600"]
group = "shop"
[jobs.off_too]
command = ["sleep", "600"]
enabled = false
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(MANIFEST)
        made.run()
        made.eventually_job("web", state="running")
        yield made


def test_a_pattern_passes_over_what_is_disabled(app: Program) -> None:
    done = app.ctl("restart", "w*", "o*")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("web: running, pid ")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("names", [["off"], ["*", "off"], ["off*"]])
def test_a_disabled_job_that_is_named_or_all_that_a_pattern_means_is_told(app: Program, names: list[str]) -> None:
    done = app.ctl("start", *names)
    assert done.returncode == 1
    assert "off: disabled in the manifest\n" in done.stderr
    assert ("off_too: " in done.stderr) == (names == ["off*"])


def test_a_pause_of_a_group_or_pattern_is_for_the_scheduled_jobs_in_it(app: Program) -> None:
    assert app.ctl("pause", "shop").stdout == "tick: paused\n"
    assert app.ctl("resume", "*").stdout == "tick: resumed\n"
    for names in (["shelf"], ["*", "shelf"], ["s*f"]):
        done = app.ctl("pause", *names)
        assert (done.returncode, done.stderr) == (1, "shelf: has no schedule; use `jobvisor stop shelf`\n")


@pytest.mark.parametrize("alive", [True, False])
def test_a_group_may_be_named_wherever_jobs_are(app: Program, *, alive: bool) -> None:
    """Whether the supervisor is asked or files are read."""
    app.eventually_job("tick", runs=1)
    eventually(lambda: "shelf" in app.output("shelf") and "tick" in app.output("tick"))
    if alive:
        assert [job["name"] for job in app.json("status", "shop")["jobs"]] == ["tick", "shelf"]
    else:
        app.ctl("shutdown")
    assert {json.loads(line)["job"] for line in app.ctl("logs", "shop", "--json").stdout.splitlines()} == {
        "tick",
        "shelf",
    }
    assert {run["job"] for run in app.json("history", "shop")} == {"tick", "shelf"}
    assert app.ctl("errors", "inner").stdout == "no failures\n"
    assert "tick" in app.ctl("next", "shop", "-n", "1").stdout
    assert "tick" in app.ctl("forecast", "inner").stdout
    for command in ("logs", "history", "errors", "forecast"):
        done = app.ctl(command, "shopp")
        assert (done.returncode, done.stderr) == (4, 'no job "shopp"; did you mean "shop"?\n')
