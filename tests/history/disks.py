"""Disks as tests need them: tiny ones, and ones that turn read-only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """Lend a file system of its own in memory; skip the test where none can be mounted."""
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "none", folder)
    if mounted.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, option: str) -> None:
    """Make a disk read-only ("ro") or writable again ("rw")."""
    done = _mount("-o", f"remount,{option}", folder)
    assert done.returncode == 0, done.stderr


def _mount(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
