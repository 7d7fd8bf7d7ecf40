"""``ps`` shows which job a process is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import children, eventually
from rig import Rig, real

from supervisor.engine.containment import run_of

CODE = """
import os, time

def sleeper():
    if os.fork() == 0:
        time.sleep(1000)
    print("up", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def shown(pid: int) -> str:
    """Return a process's command line as ``ps`` prints it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().rstrip()


def test_a_python_job_is_shown_by_its_name_and_so_are_its_forks(rig: Rig) -> None:
    before = eventually(lambda: shown(rig.server))
    run_id = rig.run("sleeper", name="importer")
    pid = rig.up(run_id)
    [child] = children(pid)
    assert shown(pid) == shown(child) == "jobvisor: importer"
    assert run_of(pid) == run_of(child) == run_id
    assert shown(rig.server) == before


def test_a_name_that_does_not_fit_is_cut(rig: Rig) -> None:
    run_id = rig.run("sleeper", name="x" * 1000)
    pid = rig.up(run_id)
    assert shown(pid).startswith("jobvisor: xxx")
    assert len(shown(pid)) == len(shown(rig.server))
    assert run_of(pid) == run_id


def test_a_command_is_shown_as_what_it_is(rig: Rig) -> None:
    run_id = rig.command("sh", "-c", "echo up; exec sleep 1000")
    pid = rig.up(run_id)
    eventually(lambda: shown(pid) == "sleep 1000")
