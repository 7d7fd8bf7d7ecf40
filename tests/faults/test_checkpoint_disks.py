"""A disk that takes no checkpoint costs the job that asks an error or time, and nobody else anything; it heals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from disks import disk
from tampering import TRACED, fill, tampered
from witness import Witnessed, witnessed

KEEPER = """
import time
from supervisor import job
def run():
    for number in range(100000):
        try:
            job.checkpoint({"number": number, "text": "x" * 5000})
            print("kept", flush=True)
        except job.CheckpointError as error:
            print("refused:", error, flush=True)
        time.sleep(0.05)
"""
JOBS = '[jobs.keeper]\nrun = "jobs.keeper:run"\n'
OWN_LOGS = 'state_dir = "disk/state"\nlog_dir = "logs"'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Witnessed]:
    with disk(tmp_path / "disk", "2M"), witnessed(tmp_path) as made:
        made.supervise(JOBS, settings=OWN_LOGS, keeper=KEEPER)
        eventually(lambda: "kept" in said(made))
        yield made


def said(app: Witnessed) -> str:
    path = app.folder / "logs" / "keeper.log"
    return path.read_text() if path.exists() else ""


def healed(app: Witnessed) -> None:
    kept = said(app).count("kept")
    app.heals("checkpoint")
    assert "checkpoint: writable again" in app.log
    eventually(lambda: said(app).count("kept") > kept)
    assert app.job("keeper")["restarts"] == 0


def test_a_full_disk_under_checkpoints(app: Witnessed) -> None:
    hog = fill(app.folder / "disk")
    app.warns("checkpoint: not writable since", "keeper", "No space left on device")
    eventually(lambda: "refused: the checkpoint" in said(app) or "No space left on device" in said(app))
    app.goes_on()
    assert "No space left on device" in app.log
    hog.unlink()
    healed(app)


@TRACED
@pytest.mark.parametrize(("error", "words"), [("EROFS", "Read-only file system"), ("EIO", "Input/output error")])
def test_a_disk_that_turns_read_only_or_breaks_under_checkpoints(app: Witnessed, error: str, words: str) -> None:
    new = app.folder / "disk" / "state" / "checkpoints" / "keeper:1.json.new"
    call = "openat" if error == "EROFS" else "fsync"
    with tampered(app.pid, "-P", str(new), "-e", f"inject={call}:error={error}"):
        app.warns("checkpoint: not writable since", words)
        app.goes_on()
        assert words in app.log
    healed(app)


@TRACED
def test_a_slow_disk_under_checkpoints(app: Witnessed) -> None:
    new = app.folder / "disk" / "state" / "checkpoints" / "keeper:1.json.new"
    with tampered(app.pid, "-P", str(new), "-e", "inject=fsync:delay_enter=4000000"):
        app.warns("checkpoint: the disk has not answered for")
        app.goes_on()
    app.heals("checkpoint")
    eventually(lambda: "checkpoint: the disk took" in app.log)
    kept = said(app).count("kept")
    eventually(lambda: said(app).count("kept") > kept)
