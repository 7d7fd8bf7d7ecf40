"""Orders to jobs that are really there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Program, program

MANIFEST = """
[jobs.web]
command = ["sleep", "600"]
settle = "100ms"
[jobs.off]
command = ["sleep", "600"]
enabled = false
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
    done = app.ctl("restart", "*")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("web: running, pid ")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("names", [["off"], ["*", "off"], ["off*"]])
def test_a_disabled_job_that_is_named_or_all_that_a_pattern_means_is_told(app: Program, names: list[str]) -> None:
    done = app.ctl("start", *names)
    assert done.returncode == 1
    assert "off: disabled in the manifest\n" in done.stderr
    assert ("off_too: " in done.stderr) == (names == ["off*"])
