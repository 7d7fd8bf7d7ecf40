"""A file that hangs when it is read, as on a disk that is gone: whoever reads it waits, and nobody else."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, program

WEB = '[jobs.web]\ncommand = ["sleep", "1000"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_a_reload_that_hangs_holds_up_neither_the_jobs_nor_the_end(app: Program) -> None:
    app.write(WEB)
    supervisor = app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    os.mkfifo(app.folder / "env")
    app.write(f'{WEB}env_file = "env"\n')
    with subprocess.Popen([*JOBVISOR, "reload"], cwd=app.folder, stderr=subprocess.DEVNULL) as client:
        silent = eventually(lambda: opened_by_a_reader(app.folder / "env"))
        try:
            assert app.job("web")["pid"] == pid
            assert app.ctl("shutdown").returncode == 0
            assert supervisor.wait(60) == 0
            assert client.wait(60) == 1
        finally:
            os.close(silent)
    assert "Traceback" not in app.log


def opened_by_a_reader(fifo: Path) -> int | None:
    """Return the end for writing once somebody reads, who then waits for what is never written."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
