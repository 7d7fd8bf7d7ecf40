"""Machines that several modules of tests share: a User Mode Linux kernel takes long to boot."""

from collections.abc import Iterator

import pytest
from lab import Lab, lab


@pytest.fixture(scope="session")
def uml() -> Iterator[Lab]:
    """A lab with a clock and cgroups of its own; who uses it leaves nothing in it but the time."""
    with lab("uml") as made:
        yield made
