"""``from supervisor import job``, inside and outside of Jobvisor."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import eventually

from supervisor import job
from supervisor.page import read


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("JOBVISOR_")]:
        monkeypatch.delenv(name)
    yield
    for channel in job._channels.values():
        channel.close()
    job._channels.clear()
    job._pages.clear()


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


# -- what a job says ---------------------------------------------------------------------------------------------------


def heard(supervisor: socket.socket) -> tuple[bytes, list[int]]:
    message, fds, _, _ = socket.recv_fds(supervisor, 65_536, 10, socket.MSG_DONTWAIT)
    return message, fds


def test_outside_every_call_does_nothing() -> None:
    job.heartbeat()
    job.progress(1, 2, "note")
    job.checkpoint(object())
    assert job.last_checkpoint is None


def test_a_heartbeat_is_said_at_most_so_often(supervisor: socket.socket) -> None:
    eventually(lambda: (job.heartbeat(), _has_message(supervisor))[1])
    assert heard(supervisor) == (b'[{"kind":"heartbeat"}]', [])
    began = time.monotonic()
    while time.monotonic() < began + job.HEARTBEAT_EVERY / 2:
        job.heartbeat()
    assert not _has_message(supervisor) or time.monotonic() > began + job.HEARTBEAT_EVERY
    eventually(lambda: (job.heartbeat(), _has_message(supervisor))[1])


def _has_message(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def test_nothing_that_a_job_says_waits_for_a_supervisor_that_does_not_listen(supervisor: socket.socket) -> None:
    channel = job._channel()
    assert channel is not None
    while job._say(channel, b"x" * 60_000):
        pass
    job.progress(1, 2)
    page = job._pages[os.getpid()]
    assert not page.is_shown
    while _has_message(supervisor):
        supervisor.recv(65_536)
    job.progress(2, 2)
    assert page.is_shown
    message, fds = heard(supervisor)
    assert message == b'[{"kind":"progress","fds":1}]'
    found = read(fds[0])
    assert found is not None
    assert found.done == 2
    os.close(fds[0])


def test_a_million_calls_of_progress_are_one_message(supervisor: socket.socket) -> None:
    for done in range(1_000_000):
        job.progress(done, 1_000_000)
    _, [fd] = heard(supervisor)
    found = read(fd)
    assert found is not None
    assert (found.done, found.total) == (999_999, 1_000_000)
    assert not _has_message(supervisor)
    os.close(fd)


def test_a_fork_has_a_page_of_its_own(supervisor: socket.socket) -> None:
    job.progress(1, 2)
    if (pid := os.fork()) == 0:
        job.progress(2, 2)
        os._exit(0)
    os.waitpid(pid, 0)
    pages = [heard(supervisor)[1][0] for _ in range(2)]
    assert [(found := read(fd)) and found.done for fd in pages] == [1, 2]
    for fd in pages:
        os.close(fd)


def test_a_supervisor_that_is_gone_is_no_error_but_for_a_checkpoint(supervisor: socket.socket) -> None:
    supervisor.close()
    job.heartbeat()
    job.progress(1, 2)
    with pytest.raises(job.CheckpointError, match="the supervisor is gone"):
        job.checkpoint({"page": 1})
    with pytest.raises(job.CheckpointError, match="the supervisor is gone"):
        _ = job.last_checkpoint


def test_a_checkpoint_that_is_no_json_or_too_large_is_an_error_at_once(supervisor: socket.socket) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        job.checkpoint({1, 2})
    with pytest.raises(ValueError, match=r"a checkpoint of 1,048,578 bytes; at most 1,048,576 are kept"):
        job.checkpoint("x" * 1024 * 1024)
    assert not _has_message(supervisor)


def test_a_checkpoint_that_is_refused_says_why(supervisor: socket.socket) -> None:
    def refuse() -> None:
        select.select([supervisor], [], [])
        message, [sheet, done] = heard(supervisor)
        assert message == b'[{"kind":"keep","fds":2}]'
        assert os.pread(sheet, 100, 0) == b'{"page":1}'
        os.truncate(sheet, 0)
        os.pwrite(sheet, b"no space left", 0)
        os.write(done, b"-")
        os.close(sheet)
        os.close(done)

    disk = threading.Thread(target=refuse)
    disk.start()
    with pytest.raises(job.CheckpointError, match=r"^no space left$"):
        job.checkpoint({"page": 1})
    disk.join()


def test_a_number_that_means_another_file_here_is_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setenv("JOBVISOR_FD", str(theirs.fileno()))
    with ours, theirs:
        job.progress(1, 2)
        job.checkpoint(1)
        assert not _has_message(ours)
