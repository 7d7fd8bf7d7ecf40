"""Making a disk sick: full by a file, or by strace, which has the system calls of a process fail or take long."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import eventually

TRACED = pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the disk sick")


@contextmanager
def tampered(pid: int, *options: str) -> Iterator[None]:
    """Have system calls of a process fail or take long."""
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
        eventually(lambda: _is_traced(pid))
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait()


def _is_traced(pid: int) -> bool:
    """Tell whether all threads of a process are traced: strace attaches to one after the other."""
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in each.read_text() for each in threads)


def fill(folder: Path) -> Path:
    """Leave no room on a disk."""
    hog = folder / "hog"
    with hog.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    return hog
