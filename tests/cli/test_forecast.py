import json
import os
import pty
import subprocess
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

import pytest
from samples import closed, write
from shell import JOBVISOR, Shell

from supervisor.core.runs import SlotId
from supervisor.values import replace

MANIFEST = """
[supervisor]
timezone = "Europe/Berlin"
[jobs.poll]
command = "true"
every = "5m"
[jobs.nightly]
command = "true"
cron = "30 2 * * *"
[jobs.office]
command = "true"
cron = "0 9 * * 1-5"
[jobs.web]
command = "true"
"""
AUTUMN = ["--at", "2026-10-24T12:00"]


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write(MANIFEST)
    return shell


def history(shell: Shell, job: str, length: timedelta) -> None:
    (shell.folder / ".jobvisor").mkdir()
    row = closed(1, slot=SlotId(job), ended_at=datetime(2026, 10, 1, tzinfo=UTC))
    write(shell.folder / ".jobvisor" / "history.db", replace(row, duration=length))


def test_a_week_without_a_supervisor_or_a_history(jobvisor: Shell) -> None:
    done = jobvisor("forecast", *AUTUMN)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "2026-10-24 12:00:00+02:00 to 2026-10-31 11:00:00+01:00 (Europe/Berlin)"
    table = [line.split() for line in lines[2:6]]
    assert table[0] == ["JOB", "RUNS", "TAKES", "OVERLAPS", "SKIPPED", "MISSED", "QUIET", "DAYS", "FIRST"]
    assert [row[:3] for row in table[1:]] == [["poll", "2016", "1s?"], ["nightly", "7", "1s?"], ["office", "5", "1s?"]]
    assert "nightly: 2026-10-25 has 02:30 twice in Europe/Berlin: due the first time only" in lines
    assert "most at once: 2, first at 2026-10-25 02:30:00+02:00 (nightly, poll)" in lines
    assert "? a length of 1s is assumed where no run has ended well yet: poll, nightly, office" in lines


def test_run_lengths_are_those_of_the_history(jobvisor: Shell) -> None:
    history(jobvisor, "poll", timedelta(minutes=7))
    told = json.loads(jobvisor("forecast", *AUTUMN, "--for", "1h", "--json").stdout)
    [poll, nightly, _] = told["jobs"]
    assert poll | {"days_without_a_run": []} == {
        "name": "poll",
        "runs": 6,
        "skipped": 6,
        "missed": 0,
        "timeouts": 0,
        "overlaps": 6,
        "takes_s": 420.0,
        "assumed": False,
        "first_at": "2026-10-24T10:05:00Z",
        "days_without_a_run": [],
    }
    assert (nightly["runs"], nightly["assumed"], nightly["first_at"]) == (0, True, None)
    assert told["runs"][1] == {
        "job": "poll",
        "instance": 1,
        "due_at": "2026-10-24T10:10:00Z",
        "started_at": None,
        "ended_at": None,
        "outcome": "skipped",
        "attempt": 1,
        "trigger": "schedule",
        "waited_for": None,
        "reason": "run 1 since 10:05:00",
    }
    assert told["peak"] == {"runs": 1, "at": "2026-10-24T10:05:00Z", "jobs": ["poll"]}
    assert (told["complete"], told["daylight_saving"], told["days_without_a_run"]) == (True, [], [])


def test_names_choose_what_is_shown(jobvisor: Shell) -> None:
    told = json.loads(jobvisor("forecast", *AUTUMN, "n*", "--json").stdout)
    assert {row["job"] for row in told["runs"]} == {"nightly"}
    assert [job["name"] for job in told["jobs"]] == ["nightly"]
    assert told["peak"]["runs"] == 2, "all are simulated"
    done = jobvisor("forecast", "nigtly")
    assert (done.returncode, done.stderr) == (4, 'no job "nigtly"; did you mean "nightly"?\n')


def test_groups_and_what_comes_after_long_lived_jobs_are_foreseen_as_up(jobvisor: Shell) -> None:
    jobvisor.write("""
        [groups.shop]
        [jobs.web]
        command = "true"
        group = "shop"
        [jobs.poll]
        command = "true"
        every = "5m"
        after = ["web"]
        group = "shop"
    """)
    told = json.loads(jobvisor("forecast", "--for", "1h", "--json").stdout)
    assert len(told["runs"]) == 12


def test_without_a_scheduled_job_there_is_nothing_to_see(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.web]\ncommand = "true"\n')
    done = jobvisor("forecast")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no job that is shown has a schedule and is enabled" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--for", "5x"], ["--for", "0s"], ["--for", "-1h"], ["--at", "soon"], ["--at", "9999-12-31"], ["--for", ""]],
    ids=" ".join,
)
def test_what_is_no_time_is_wrong_usage_with_the_reason(jobvisor: Shell, arguments: list[str]) -> None:
    done = jobvisor("forecast", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_holds_plain_characters_alone(jobvisor: Shell) -> None:
    assert jobvisor("forecast", *AUTUMN, PYTHONIOENCODING="ascii:strict").stdout.isascii()


@pytest.mark.parametrize("columns", [30, 60, 200])
def test_no_line_is_wider_than_the_terminal(jobvisor: Shell, columns: int) -> None:
    master, slave = pty.openpty()
    with FileIO(master) as terminal:
        environ = jobvisor.environ | {"COLUMNS": str(columns)}
        process = subprocess.Popen(
            [*JOBVISOR, "forecast", *AUTUMN, "-n", "3"], cwd=jobvisor.folder, env=environ, stdout=slave
        )
        os.close(slave)
        text = b"".join(iter(lambda: _read(terminal), b"")).decode()
        assert process.wait() == 0
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("poll") for line in lines)


def _read(terminal: FileIO) -> bytes:
    try:
        return terminal.read(65_536)
    except OSError:  # the other end has closed it
        return b""
