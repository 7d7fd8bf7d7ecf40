"""A fork server or log process that is dead or stopped, a preload that crashes or hangs: said, and gone on without."""

import fcntl
import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from witness import Witnessed, witnessed

STEADY = '[jobs.steady]\ncommand = ["sleep", "1000"]\n'
PRELOAD = 'preload = ["jobs.shared"]'
USES = '[jobs.uses]\nrun = "jobs.uses:run"\n'
USER = "import jobs.uses\ndef run():\n    import time\n    print('up', flush=True)\n    time.sleep(1000)\n"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Witnessed]:
    with witnessed(tmp_path) as made:
        yield made


def test_a_dead_fork_server(app: Witnessed) -> None:
    app.supervise(STEADY)
    steady = app.eventually_job("steady", state="running")["pid"]
    os.kill(app.part("engine.forkserver"), signal.SIGKILL)
    app.warns("the fork server died; its jobs are lost and start again")
    app.goes_on()
    after = app.eventually_job("steady", state="running", health="ok")
    assert (after["pid"] != steady, after["restarts"]) == (True, 0)
    assert "the fork server died; its jobs are lost and start again" in app.log


def test_a_stopped_fork_server_is_noticed_even_where_nothing_is_ordered(app: Witnessed) -> None:
    app.supervise(STEADY)
    app.eventually_job("steady", state="running")
    assert app.ctl("pause", "beat").returncode == 0
    os.kill(app.part("engine.forkserver"), signal.SIGSTOP)
    app.warns("the fork server did not answer, and was killed")
    assert app.ctl("resume", "beat").returncode == 0
    app.goes_on()
    app.eventually_job("steady", state="running", health="ok")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_or_stopped_log_process_costs_no_line(app: Witnessed, number: int) -> None:
    app.supervise(
        '[jobs.counts]\ncommand = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done"\nshell = true\n'
        "log = { timestamps = false }\n"
    )
    log = app.folder / ".jobvisor" / "logs" / "counts.log"
    eventually(lambda: log.exists() and "50\n" in log.read_text())
    part, job = app.part("logs.process"), app.job("counts")["pid"]
    os.kill(job, signal.SIGSTOP)  # what the log process has in hand would die with it
    eventually(lambda: state_of(job) == "T" and is_read(job) and state_of(part) == "S")
    os.kill(part, number)
    os.kill(job, signal.SIGCONT)
    app.goes_on()
    lines = len(log.read_text().splitlines())
    eventually(lambda: len(log.read_text().splitlines()) > lines + 50)
    if number == signal.SIGKILL:  # a stopped one is continued, and well again, before anybody can look
        app.warns("log: the log process had to be replaced 1 times")
    assert "log: the log process" in app.log
    numbers = [int(line) for line in log.read_text().rpartition("\n")[0].splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_read(pid: int) -> bool:
    """Tell whether all that a process has written to its output has been read."""
    pipe = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return not any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    finally:
        os.close(pipe)


def test_a_preload_that_crashes(app: Witnessed) -> None:
    app.supervise(
        STEADY + USES,
        settings=PRELOAD,
        shared="import os\nos.abort()\n",
        uses="import time\ndef run(): time.sleep(1000)",
    )
    assert "importing it ended the process" in app.warns("preload", "jobs.shared")
    app.eventually_job("uses", state="running", health="ok")
    app.goes_on()
