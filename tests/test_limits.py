"""Limits, user and group as a person meets them: the real program."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

EATER = """
import time
def run():
    print("eating", flush=True)
    held = b"x" * (120 << 20)
    time.sleep(1000)
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_a_job_over_its_memory_is_stopped_and_its_run_says_why(app: Program) -> None:
    app.write(
        '[jobs.eater]\nrun = "jobs.eater:run"\nlimits = { memory = "64M" }\nbackoff = { initial = "1h", max = "1h" }\n'
        '[jobs.other]\ncommand = ["sleep", "1000"]\n',
        eater=EATER,
    )
    app.run()
    job = app.eventually_job("eater", state="backoff", health="failing")
    assert job["reason"] == job["last"]["error"] == "over limits.memory"
    (row,) = [row for row in app.json("history") if row["job"] == "eater"]
    assert (row["outcome"], row["reason"]) == ("failed", "over limits.memory")
    assert app.job("other")["health"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_a_job_that_cannot_have_its_user_is_failing_with_the_reason_and_the_others_run(app: Program) -> None:
    app.write(
        '[jobs.who]\ncommand = ["sleep", "1000"]\nuser = "no-such-user"\nbackoff = { initial = "1h", max = "1h" }\n'
        '[jobs.other]\ncommand = "id -un; sleep 1000"\nshell = true\nuser = "nobody"\ncwd = "/"\n'
    )
    app.run()
    reason = 'user: there is no user "no-such-user" on this machine; create it, or correct `user`'
    assert app.eventually_job("who", state="backoff")["reason"] == reason
    eventually(lambda: "nobody\n" in app.output("other"))
