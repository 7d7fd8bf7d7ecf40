"""``from supervisor import job``, inside and outside of Jobvisor."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from supervisor import job


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("JOBVISOR_")]:
        monkeypatch.delenv(name)
    yield
    for channel in job._channels.values():
        channel.close()
    job._channels.clear()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The supervisor's end of this process's channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.set_inheritable(True)
    monkeypatch.setenv("JOBVISOR_FD", str(theirs.fileno()))
    with ours, theirs:
        yield ours


def test_outside_every_name_is_quiet() -> None:
    assert (job.name, job.run_id, job.due, job.trigger) == (None, None, None, None)
    assert (job.attempt, job.instance) == (1, 1)
    assert job.stopping is False


def test_outside_a_wait_is_a_sleep() -> None:
    before = time.monotonic()
    assert job.wait(0.05) is False
    assert time.monotonic() - before >= 0.05


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"'supervisor.job' has no attribute 'naem'"):
        _ = job.naem


def test_a_channel_that_is_not_there_is_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBVISOR_FD", "987")
    assert job.stopping is False


def test_without_a_stop_nothing_is_stopping(supervisor: socket.socket) -> None:
    assert job.stopping is False
    assert job.wait(0.01) is False
    assert supervisor.fileno() > 0


def test_a_stop_is_seen_again_and_again_and_ends_a_wait(supervisor: socket.socket) -> None:
    supervisor.send(b'[{"kind":"stop","cause":"stop"}]')
    assert job.wait(1000) is True
    assert job.stopping is True
    assert job.stopping is True


def test_a_supervisor_that_is_gone_is_a_stop(supervisor: socket.socket) -> None:
    supervisor.close()
    assert job.stopping is True


def test_another_message_is_no_stop_and_ends_no_wait(supervisor: socket.socket) -> None:
    supervisor.send(b'[{"kind":"tick"}]')
    before = time.monotonic()
    assert job.wait(0.05) is False
    assert time.monotonic() - before >= 0.05


def test_the_channel_is_not_inherited_by_what_the_job_starts(supervisor: socket.socket) -> None:
    fd = int(os.environ["JOBVISOR_FD"])
    assert job.stopping is False
    assert not os.get_inheritable(fd)
    assert supervisor.fileno() > 0


def test_a_signal_that_is_handled_and_a_wait_end_a_program_well(supervisor: socket.socket) -> None:
    program = (
        "import signal; from supervisor import job\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "print('up', flush=True)\n"
        "print(job.wait(1000), job.stopping)\n"
    )
    fd = int(os.environ["JOBVISOR_FD"])
    with subprocess.Popen([sys.executable, "-c", program], pass_fds=[fd], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        supervisor.send(b'[{"kind":"stop","cause":"stop"}]')
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "True True\n"
