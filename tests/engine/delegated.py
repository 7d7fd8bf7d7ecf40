"""A cgroup for the jobs of a test, where the machine lets one be made."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.engine import cgroups
from supervisor.engine.cgroups import Delegation


@contextmanager
def delegated(folder: Path) -> Iterator[Delegation]:
    """Lend the cgroup of a state folder; skip the test where there is none to have. It must be left empty."""
    with cgroups.claimed(str(folder)) as claimed:
        if claimed is None:
            pytest.skip("no cgroup (version 2) is ours to divide here")
        yield claimed
        assert [each.name for each in Path(claimed.path).iterdir() if each.is_dir()] == []
    assert not Path(claimed.path).exists()
