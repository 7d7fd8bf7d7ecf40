"""A stderr that takes nothing costs lines of the supervisor's own log, which are counted, and nothing else."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import eventually
from witness import Witnessed, witnessed

MANY = "".join(f'[jobs.quick{n}]\ncommand = "true"\nevery = "100ms"\nlog = "null"\n' for n in range(4))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Witnessed]:
    with witnessed(tmp_path) as made:
        yield made


def test_a_full_device_as_stderr(app: Witnessed) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    app.supervise(MANY, stderr=full)
    os.close(full)
    app.warns("lines of the supervisor's own log did not fit stderr")
    app.goes_on()


def test_a_stderr_that_nobody_reads(app: Witnessed) -> None:
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    app.supervise(MANY, stderr=write)
    os.close(write)
    app.warns("lines of the supervisor's own log did not fit stderr")
    app.goes_on()
    assert app.ctl("restart", "quick0").returncode == 0
    os.set_blocking(read, False)
    eventually(lambda: b" lines lost here\n" in taken(read))
    os.close(read)


def taken(fd: int) -> bytes:
    """Return what can be read now."""
    with suppress(BlockingIOError):
        return os.read(fd, 65536)
    return b""


def test_a_reader_of_stderr_that_goes_away(app: Witnessed) -> None:
    read, write = os.pipe()
    app.supervise(MANY, stderr=write)
    os.close(write)
    os.close(read)
    app.warns("lines of the supervisor's own log did not fit stderr")
    app.goes_on()
