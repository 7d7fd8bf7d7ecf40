import json
from pathlib import Path

import pytest
from shell import Shell

MANIFEST = """
[groups.outer]
[groups.inner]
group = "outer"
[jobs.one]
command = "true"
every = "1h"
group = "outer"
[jobs.two]
command = "true"
every = "1h"
group = "inner"
[jobs.other]
command = "true"
every = "1h"
"""


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write(MANIFEST)
    return shell


def test_a_groups_name_means_its_jobs_and_those_of_groups_in_it(jobvisor: Shell) -> None:
    coming = json.loads(jobvisor("next", "outer", "-n", "4", "--json").stdout)
    assert {each["job"] for each in coming} == {"one", "two"}
    foreseen = json.loads(jobvisor("forecast", "inner", "--for", "2h", "--json").stdout)
    assert [each["name"] for each in foreseen["jobs"]] == ["two"]


@pytest.mark.parametrize("command", ["history", "errors", "logs"])
def test_records_and_output_know_groups_too(jobvisor: Shell, command: str) -> None:
    for name, code in (("outer", 0), ("other", 0), ("outr", 4)):
        done = jobvisor(command, name)
        assert done.returncode == code
    assert done.stderr == 'no job "outr"; did you mean "outer"?\n'
