import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program
from receiver import receiving

FLAKY = """
import pathlib, sys

def run():
    if pathlib.Path("broken").exists():
        raise ValueError("no such luck")
"""
JOB = '[jobs.flaky]\nrun = "jobs.flaky:run"\nevery = "200ms"\nnotify = ["ops"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_failures_in_a_row_and_the_recovery_reach_a_webhook(app: Program) -> None:
    with receiving() as server:
        app.write(f'{JOB}[notify.ops]\nwebhook = "{server.url}/secret"\nfailures = 2\n', flaky=FLAKY)
        (app.folder / "broken").touch()
        app.run()
        eventually(lambda: len(server.bodies) == 1)
        (app.folder / "broken").unlink()
        eventually(lambda: len(server.bodies) == 2)
    failure, recovery = server.bodies
    assert (failure["event"], failure["job"], failure["failures"]) == ("failure", "flaky", 2)
    assert failure["text"] == "flaky failed (2 in a row): ValueError flaky.py:6"
    assert failure["error"]["message"] == "no such luck"
    assert failure["manifest"] == str(app.folder / "jobs.toml")
    assert (recovery["event"], recovery["outcome"]) == ("recovery", "ok")
    assert "secret" not in app.log


def test_a_program_is_told_of_giving_up(app: Program) -> None:
    app.write(
        '[jobs.web]\ncommand = "sh -c \'exit 3\'"\nbackoff = "none"\nmax_restarts = 1\nnotify = ["ops"]\n'
        '[notify.ops]\ncommand = ["sh", "-c", "cat >> told"]\non = ["give_up"]\n'
    )
    app.run()
    told = eventually(lambda: (app.folder / "told").exists() and (app.folder / "told").read_text())
    [notice] = [json.loads(line) for line in told.splitlines()]
    assert (notice["event"], notice["exit_code"]) == ("give_up", 3)
    assert notice["text"] == "web failed for good: gave up after 1 restarts in 1m: exit 3"


def test_each_run_is_pinged_with_the_same_id_at_its_start_and_its_end(app: Program) -> None:
    with receiving() as server:
        app.write(f'{JOB.replace("200ms", "1h")}[notify.ops]\nwebhook = "{server.url}/id"\nping = true\n', flaky=FLAKY)
        app.run()
        app.ctl("trigger", "flaky", "--wait")
        (app.folder / "broken").touch()
        app.ctl("trigger", "flaky", "--wait")
        eventually(lambda: len(server.paths) == 4)
    paths = [path.partition("?") for path in server.paths]
    assert [path for path, _, _ in paths] == ["/id/start", "/id", "/id/start", "/id/fail"]
    assert paths[0][2] == paths[1][2]
    assert paths[2][2] == paths[3][2] != paths[0][2]
    assert [body["run_id"] for body in server.bodies] == [
        body["run_id"] for body in sorted(server.bodies, key=lambda body: body["run_id"])
    ]


def test_a_hanging_server_holds_up_no_job_and_shows_in_status_without_its_secret(app: Program) -> None:
    with receiving("hang") as server:
        app.write(f'{JOB}[notify.ops]\nwebhook = "{server.url}/secret"\ntimeout = "300ms"\nretries = 1\n', flaky=FLAKY)
        (app.folder / "broken").touch()
        app.run()
        eventually(lambda: server.requests)
        runs = app.job("flaky")["runs"]
        eventually(lambda: app.job("flaky")["runs"] > runs + 2)
        [found] = eventually(lambda: app.json("status")["warnings"])
        assert found.startswith("notify.ops: not delivered since 20")
        assert f"{server.url}/…: no answer within 0.3 s (" in found
        began = time.monotonic()
        app.end()
        assert time.monotonic() - began < 10
    assert "secret" not in app.log
    assert f"notify.ops: not delivered: {server.url}/…: no answer within 0.3 s" in app.log


def test_a_reload_says_who_is_told_from_then_on_and_hides_the_address(app: Program) -> None:
    app.write(JOB.replace('notify = ["ops"]\n', ""), flaky=FLAKY)
    (app.folder / "broken").touch()
    app.run()
    with receiving() as server:
        app.write(f'{JOB}[notify.ops]\nwebhook = "{server.url}/secret"\n')
        plan = app.ctl("reload", "--plan")
        assert re.search(rf'notify.ops.webhook +- +-> +"{server.url}/…" +live', plan.stdout)
        assert "secret" not in plan.stdout
        assert app.ctl("reload").returncode == 0
        (app.folder / "broken").unlink()
        eventually(lambda: (app.job("flaky")["last"] or {}).get("outcome") == "ok")
        (app.folder / "broken").touch()
        eventually(lambda: "failure" in [body["event"] for body in server.bodies])
        assert "secret" not in app.ctl("show", "flaky").stdout
