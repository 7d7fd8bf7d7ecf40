"""What people see of schedules in the real program: who is late, blocked or paused, and what a crash leaves."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from program import Program, program

NOTE = """
import json, sys
from pathlib import Path

notice = json.load(sys.stdin)
with Path("notices").open("a") as found:
    found.write(f"{notice['job']} {notice['event']}: {notice['text']}\\n")
"""
NOTIFY = '[notify.me]\ncommand = ["python", "note.py"]\non = ["late", "give_up"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        (tmp_path / "note.py").write_text(NOTE)
        yield made


def notices(app: Program) -> list[str]:
    found = app.folder / "notices"
    return found.read_text().splitlines() if found.exists() else []


def rows(app: Program, name: str) -> list[dict[str, Any]]:
    """Return the rows of a job, oldest first."""
    found: list[dict[str, Any]] = json.loads(app.ctl("history", name, "-n", "1000", "--json").stdout)
    return found[::-1]


def test_a_run_that_goes_on_too_long_and_a_job_without_a_good_run_are_late(app: Program) -> None:
    app.write(
        NOTIFY
        + """
        [defaults]
        notify = ["me"]
        [jobs.long]
        command = "sleep 60"
        every = "1s"
        late_after = "2s"
        [jobs.never]
        command = "true"
        every = "1h"
        expect_success_within = "5s"
        """
    )
    app.run()
    eventually(lambda: (job := app.job("long"))["health"] == "late" and job["reason"].endswith("Z, running"))
    assert app.eventually_job("never", health="late")["reason"].startswith("no good run for ")
    assert app.ctl("status").returncode == 3
    told = eventually(lambda: len(found := notices(app)) == 2 and found)
    assert sorted(line.split(" is late: ")[0] for line in told) == ["long late: long", "never late: never"]
    app.ctl("trigger", "never", "--wait")
    assert app.job("never")["health"] == "ok"


def test_so_many_failures_pause_a_job_and_that_is_no_good_state(app: Program) -> None:
    app.write(
        NOTIFY
        + """
        [jobs.flaky]
        command = "false"
        every = "300ms"
        pause_after_failures = 2
        notify = ["me"]
        """
    )
    app.run()
    paused = app.eventually_job("flaky", state="paused")
    assert (paused["health"], paused["next_due_at"], paused["runs"]) == ("failing", None, 2)
    assert paused["reason"] == "paused after 2 failures in a row: exit 1"
    assert app.ctl("status").returncode == 3
    assert eventually(lambda: notices(app)) == ["flaky give_up: flaky is paused after 2 failures in a row: exit 1"]
    missed = eventually(lambda: [row for row in rows(app, "flaky") if row["outcome"] == "missed"])
    assert missed[0]["reason"] == "paused"
    assert app.job("flaky")["last"]["outcome"] == "failed", "the last ended run, whatever was missed since"
    app.ctl("resume", "flaky")
    eventually(lambda: app.job("flaky")["runs"] == 4)


def test_an_instant_past_at_first_sight_is_missed_finished_and_well(app: Program) -> None:
    app.write('[jobs.once]\ncommand = "true"\nat = 2020-01-01T00:00:00Z\n')
    assert "jobs.once.at: 2020-01-01 00:00:00 UTC has passed, so the job will not run" in app.ctl("check").stderr
    for _ in range(2):
        app.run()
        job = app.eventually_job("once", state="finished")
        assert (job["health"], job["next_due_at"], job["last"]) == ("ok", None, None)
        app.ctl("shutdown")
    assert [row["outcome"] for row in rows(app, "once")] == ["missed"]


def test_an_instant_that_comes_while_nothing_runs_is_made_up_and_says_so_to_the_job(app: Program) -> None:
    app.write('[jobs.rehearsed]\ncommand = "true"\nat = 2999-01-01T00:00:00Z\n')
    took = _seen_and_ended(app, "rehearsed")
    due_at = (datetime.now(UTC) + 4 * took + timedelta(seconds=2)).replace(microsecond=0)
    code = "import os; print(os.environ['JOBVISOR_TRIGGER'], os.environ['JOBVISOR_DUE'])"
    app.write(f'[jobs.once]\ncommand = ["python", "-c", {json.dumps(code)}]\nat = {due_at.isoformat()}\n')
    _seen_and_ended(app, "once")
    eventually(lambda: datetime.now(UTC) > due_at)
    app.run()
    app.eventually_job("once", state="finished")
    [row] = rows(app, "once")
    assert (row["trigger"], row["outcome"]) == ("catch-up", "ok")
    trigger, due = app.output("once").split()[-2:]
    assert (trigger, datetime.fromisoformat(due)) == ("catch-up", due_at)


def _seen_and_ended(app: Program, name: str) -> timedelta:
    """Run the supervisor until a job waits for its time; return how long that takes on this machine now."""
    began = time.monotonic()
    app.run()
    app.eventually_job(name, state="waiting")
    app.ctl("shutdown")
    return timedelta(seconds=time.monotonic() - began)


def test_runs_that_wait_for_room_are_blocked_and_end_in_a_row_though_the_supervisor_is_killed(app: Program) -> None:
    app.write(
        """
        [defaults]
        missed_within = "1h"
        [supervisor]
        max_running = 2
        [jobs.beside]
        command = "sleep 60"
        every = "1s"
        overlap = "allow"
        max_parallel = 3
        [jobs.single]
        command = "sleep 60"
        every = "3s"
        """
    )
    app.run()
    app.eventually_job("single", state="blocked")
    found = eventually(lambda: (found := rows(app, "beside")) and found[-1]["outcome"] == "skipped" and found)
    assert found[-1]["reason"] == "max_parallel: 3 runs are active"
    assert len(found) == _seconds(found) - 1, "the third waits for room, and has no row yet"
    assert app.supervisor is not None
    app.supervisor.kill()
    app.run()
    found = eventually(lambda: (found := rows(app, "beside")) and len(found) == _seconds(found) and found)
    assert [row["outcome"] for row in found[:2]] == ["lost", "lost"]
    assert len({row["due_at"] for row in found}) == len(found)
    eventually(lambda: rows(app, "single"))


def _seconds(found: list[dict[str, Any]]) -> int:
    """Return how many due times a job that is due each second had from its first row to its last."""
    first, *_, last = sorted(datetime.fromisoformat(row["due_at"]) for row in found)
    return round((last - first).total_seconds()) + 1
