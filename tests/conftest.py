"""What every test shares: a wait for a condition instead of a sleep, and proof that nothing is left behind."""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

T = TypeVar("T")


# How long an example takes is no matter: the machine may be busy. All else is as Hypothesis has it, here and in CI.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure() -> None:
    """Undo what a shell does to what it runs in the background: a process that a test interrupts would inherit it."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGQUIT else signal.default_int_handler)


def eventually(condition: Callable[[], T], *, within: float = 60.0) -> T:
    """Return the condition's first true value; fail when it has none ``within`` seconds: on a busy machine, too."""
    give_up_at = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up_at:
            pytest.fail(f"never within {within} s: {condition}, last value {value!r}")
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def children(pid: int) -> set[int]:
    """Return the pids of a process's own children, by the kernel's own list."""
    found: set[int] = set()
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread or process that has ended meanwhile
            found |= set(map(int, each.read_text().split()))
    return found


def descendants(pid: int, but: Collection[int] = ()) -> set[int]:
    """Return the pids below a process, but for some and what is below those."""
    found: set[int] = set()
    for child in children(pid):
        if child not in but:
            found |= {child} | descendants(child, but)
    return found


def _reap(pid: int) -> None:
    """Reap an ended process that this one has adopted: a test of the engine makes it a child subreaper."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """A test that leaves a child of this process behind has failed; what serves many tests ends later."""
    before = descendants(os.getpid())
    yield
    give_up_at = time.monotonic() + 30
    while (left := descendants(os.getpid(), before)) and time.monotonic() < give_up_at:
        for pid in left:
            _reap(pid)
        time.sleep(0.01)
    names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left if Path(f"/proc/{pid}").exists()}
    assert not names, f"left running: {names}"
