"""A machine without processes or descriptors to give costs starts, which are tried again; what runs goes on."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import eventually
from witness import Witnessed, witnessed

QUICK = 'backoff = { initial = "200ms", factor = 1, jitter = 0 }\nsettle = "100ms"\n'
STEADY = '[jobs.steady]\ncommand = ["sleep", "1000"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Witnessed]:
    with witnessed(tmp_path) as made:
        yield made


@contextmanager
def few_processes(pids: set[int]) -> Iterator[Path]:
    """Put processes into a cgroup with the pids controller, version 1 or 2; yield the file of its limit."""
    roots = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    for root in roots:
        group = root / f"jobvisor-test-{os.getpid()}"
        if not os.access(root / "cgroup.procs", os.W_OK):
            continue
        group.mkdir()
        if (group / "pids.max").exists():
            break
        group.rmdir()
    else:
        pytest.skip("no cgroup with the pids controller can be made here")
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
    try:
        yield group / "pids.max"
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):  # it has ended since
                (root / "cgroup.procs").write_text(pid)
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_no_fork_is_a_start_that_failed_and_is_tried_again(app: Witnessed) -> None:
    app.supervise(STEADY + f'[jobs.late]\ncommand = ["sleep", "1000"]\n{QUICK}')
    steady = app.eventually_job("steady", state="running")["pid"]
    app.eventually_job("late", state="running")
    with few_processes({app.part("engine.forkserver")}) as limit:
        limit.write_text("1")
        late = app.job("late")["pid"]
        os.kill(late, 9)
        reason = "fork: Resource temporarily unavailable"
        eventually(lambda: (app.job("late")["last"] or {}).get("error") == reason)
        assert app.job("late")["health"] == "failing"
        assert reason in app.log
        limit.write_text("max")
        app.eventually_job("late", state="running", health="ok")
        app.goes_on()
    assert app.job("steady")["pid"] == steady


def test_no_descriptors_in_the_supervisor(app: Witnessed) -> None:
    app.supervise(STEADY + f'[jobs.late]\ncommand = ["sleep", "1000"]\n{QUICK}')
    steady = app.eventually_job("steady", state="running")["pid"]
    late = app.eventually_job("late", state="running")["pid"]
    before = resource.prlimit(app.pid, resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path(f"/proc/{app.pid}/fd").iterdir())
    try:
        resource.prlimit(app.pid, resource.RLIMIT_NOFILE, (min(highest + 1, 3), before[1]))
        os.kill(late, 9)
        eventually(lambda: "Too many open files" in app.log)
    finally:
        resource.prlimit(app.pid, resource.RLIMIT_NOFILE, before)
    app.eventually_job("late", state="running", health="ok")
    app.goes_on()
    assert app.job("steady")["pid"] == steady
    assert "Traceback" not in app.log
    eventually(lambda: app.job("late")["rss_bytes"])


def test_no_descriptors_in_the_fork_server(app: Witnessed) -> None:
    app.supervise(STEADY + f'[jobs.late]\ncommand = ["sleep", "1000"]\n{QUICK}')
    steady = app.eventually_job("steady", state="running")["pid"]
    late = app.eventually_job("late", state="running")["pid"]
    server = app.part("engine.forkserver")
    highest = max(int(each.name) for each in Path(f"/proc/{server}/fd").iterdir())
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(server, resource.RLIMIT_NOFILE, (highest + 10, before[1]))
        os.kill(late, 9)
        eventually(lambda: (app.job("late")["last"] or {}).get("error") == "fork: Too many open files")
    finally:
        resource.prlimit(server, resource.RLIMIT_NOFILE, before)
    app.eventually_job("late", state="running", health="ok")
    app.goes_on()
    assert app.job("steady")["pid"] == steady


def test_no_descriptors_in_the_log_process(app: Witnessed) -> None:
    """It is replaced; each pipe's end is still with the supervisor, so what is printed meanwhile waits there."""
    app.supervise(f'{STEADY}[jobs.late]\ncommand = "echo late; sleep 1000"\nshell = true\n{QUICK}')
    steady = app.eventually_job("steady", state="running")["pid"]
    late = app.eventually_job("late", state="running")["pid"]
    eventually(lambda: "late" in app.output("late"))
    server = app.part("logs.process")
    highest = max(int(each.name) for each in Path(f"/proc/{server}/fd").iterdir())
    _, hard = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (min(highest + 1, 4), hard))
    os.kill(late, 9)
    app.warns("log: the log process had to be replaced")
    app.goes_on()
    eventually(lambda: app.output("late").count("late") == 2)
    assert "log: no descriptor left for the output of a job" in app.log
    assert app.job("steady")["pid"] == steady
    assert "Traceback" not in app.log
