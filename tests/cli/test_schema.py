import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from shell import Shell

ROOT = Path(__file__).parents[2]


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_it_is_printed_without_a_manifest(jobvisor: Shell) -> None:
    done = jobvisor("schema")
    assert (done.returncode, done.stderr) == (0, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


def test_the_shipped_example_is_valid(jobvisor: Shell) -> None:
    schema = json.loads(jobvisor("schema").stdout)
    jsonschema.validate(tomllib.loads((ROOT / "jobs.toml").read_text()), schema)


def test_init_names_in_its_first_line_a_schema_that_is_there(jobvisor: Shell) -> None:
    jobvisor("init")
    manifest = (jobvisor.folder / "jobs.toml").read_text()
    named = re.match(r"#:schema (\S+)\n", manifest)
    assert named is not None
    path = jobvisor.folder / named[1]
    assert path.parent.stat().st_mode & 0o777 == 0o700, "the state is private"
    assert path.read_text() == jobvisor("schema").stdout
    jsonschema.validate(tomllib.loads(manifest), json.loads(path.read_text()))


def test_init_puts_the_schema_of_this_version_where_an_older_one_was(jobvisor: Shell) -> None:
    old = jobvisor.folder / ".jobvisor" / "jobs.schema.json"
    old.parent.mkdir()
    old.write_text("{}")
    assert jobvisor("init").returncode == 0
    assert "$defs" in json.loads(old.read_text())
