import json
from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write('[jobs.web]\ncommand = "true"\ninstances = 2\n')
    return shell


@pytest.mark.parametrize("command", ["history", "errors"])
@pytest.mark.parametrize("name", ["web", "w*", "web:2"])
def test_a_job_that_has_not_run_yet_has_nothing_to_show(jobvisor: Shell, command: str, name: str) -> None:
    done = jobvisor(command, name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("command", ["history", "errors"])
def test_an_unknown_job_is_4_with_the_nearest_name(jobvisor: Shell, command: str) -> None:
    done = jobvisor(command, "wbe")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", 'no job "wbe"; did you mean "web"?\n')


def test_without_runs_the_table_is_its_head(jobvisor: Shell) -> None:
    [head] = jobvisor("history").stdout.splitlines()
    assert head.split()[:2] == ["ID", "JOB"]
    assert jobvisor("errors").stdout == "no failures\n"
