import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shell import Shell
from terminal import Terminal

from supervisor.core.runs import Attempt, Closed, Opened, Outcome, SlotId, Trigger
from supervisor.history.backlog import Backlog
from supervisor.history.database import Database
from supervisor.history.table import error_cells


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write('[jobs.web]\ncommand = "true"\ninstances = 2\n')
    return shell


@pytest.mark.parametrize("command", ["history", "errors"])
@pytest.mark.parametrize("name", ["web", "w*", "web:2", "web:*"])
def test_a_job_that_has_not_run_yet_has_nothing_to_show(jobvisor: Shell, command: str, name: str) -> None:
    done = jobvisor(command, name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("command", ["history", "errors"])
def test_an_unknown_job_is_4_with_the_nearest_name(jobvisor: Shell, command: str) -> None:
    for name in ("web:x", "api:1"):
        assert jobvisor(command, name).returncode == 4
    done = jobvisor(command, "wbe")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", 'no job "wbe"; did you mean "web"?\n')


def test_without_runs_the_table_is_its_head(jobvisor: Shell) -> None:
    [head] = jobvisor("history").stdout.splitlines()
    assert head.split()[:2] == ["ID", "JOB"]
    assert jobvisor("errors").stdout == "no failures\n"


@pytest.fixture
def recorded(jobvisor: Shell) -> Shell:
    """A folder with a record: web failed an hour ago and now, api went well an hour ago."""
    now = datetime.now(UTC)
    history = jobvisor.folder / ".jobvisor" / "history.db"
    history.parent.mkdir()
    database = Database(history, lambda _: None)
    database.begin(now)
    backlog = Backlog()
    for run_id, (job, instance, ended_at, outcome) in enumerate(
        [
            ("web", 1, now - timedelta(hours=1), Outcome.FAILED),
            ("api", 1, now - timedelta(hours=1), Outcome.OK),
            ("web", 2, now, Outcome.FAILED),
        ],
        1,
    ):
        run = Attempt(run_id=run_id, slot=SlotId(job, instance), trigger=Trigger.START)
        row = Closed(
            run=run, started_at=ended_at, ended_at=ended_at, duration=timedelta(0), outcome=outcome, exit_code=1
        )
        backlog.put([Opened(run=run, started_at=ended_at), row], ())
    database.write(backlog)
    database.close()
    return jobvisor


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], [3, 2, 1]),
        (["-n", "1"], [3]),
        (["--failed"], [3, 1]),
        (["web"], [3, 1]),
        (["web:1"], [1]),
        (["a*", "web:2"], [3, 2]),
        (["--since", "10m"], [3]),
        (["--since", "2020-01-01", "api"], [2]),
    ],
    ids=str,
)
def test_runs_are_chosen(recorded: Shell, arguments: list[str], ids: list[int]) -> None:
    assert [run["run_id"] for run in json.loads(recorded("history", *arguments, "--json").stdout)] == ids


@pytest.mark.parametrize("command", ["history", "errors", "show"])
@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_breaks_on_a_narrow_terminal(recorded: Shell, command: str, columns: int) -> None:
    names = ["web"] if command == "show" else []
    if command == "show":
        recorded.write('[jobs.web]\ncommand = ["sh", "-c", "' + "echo " * 30 + '"]\ninstances = 2\n')
    told = Terminal(recorded.folder, command, *names, columns=columns)
    assert told.end() == 0
    tables = told.shown.partition("last error")[0]
    assert max(map(len, tables.splitlines())) <= columns
    assert "exit 1" in tables
    assert "…" not in recorded(command, *names).stdout  # which is no terminal


def test_a_failure_of_no_exception_is_told_by_its_kind_and_its_words() -> None:
    error = {"job": "a", "count": 1, "first_at": None, "last_at": None, "last_run_id": 1, "type": None}
    [missing] = error_cells([{**error, "fingerprint": "import: no module x", "message": "import: no module x"}])
    [ended] = error_cells([{**error, "fingerprint": "exit 3", "message": None}])
    assert (missing[-2:], ended[-2:]) == (("import", "no module x"), ("exit 3", "-"))


def test_failures_are_counted_since_a_time(recorded: Shell) -> None:
    assert [each["count"] for each in json.loads(recorded("errors", "--json").stdout)] == [2]
    assert [each["count"] for each in json.loads(recorded("errors", "--since", "10m", "--json").stdout)] == [1]
    assert recorded("errors", "api").stdout == "no failures\n"
    done = recorded("errors", "--since", "yesterday")
    assert (done.returncode, done.stderr) == (
        2,
        '--since "yesterday" is neither a time (ISO 8601) nor a duration such as "1h"\n',
    )
