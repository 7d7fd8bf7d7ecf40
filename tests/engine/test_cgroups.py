"""Where a cgroup is to be had, nothing leaves its job by any way, and what the job has used is counted whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually, is_alive
from delegated import delegated
from rig import Rig, real

from supervisor.core.exits import Code, Lost, Signalled
from supervisor.engine import cgroups
from supervisor.engine.cgroups import Delegation

HIDE = """
import os, sys, time
# no environment, no session, no parent of the job's, long before any stop
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sh", ["sh", "-c", "echo $$ > $0.tmp; mv $0.tmp $0; exec /bin/sleep 1000", sys.argv[1]], {})
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""
CODE = f"""
import os, subprocess, sys, time

def hides(path, then=1000):
    subprocess.run([sys.executable, "-c", {HIDE!r}, path], check=True)
    print("up", flush=True)
    time.sleep(then)

def burns_in_a_child_that_nobody_waits_for():
    if os.fork() == 0:
        os.setsid()
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        open("burnt", "w").close()
        time.sleep(1000)
    while not os.path.exists("burnt"):
        time.sleep(0.01)

def tells():
    print(open("/proc/self/cgroup").read(), flush=True)
"""


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Delegation]:
    with delegated(tmp_path) as claimed:
        yield claimed


@pytest.fixture
def rig(tmp_path: Path, cgroup: Delegation) -> Iterator[Rig]:
    with real(tmp_path, CODE, cgroup=cgroup) as made:
        yield made


def hidden(rig: Rig, then: float = 1000) -> tuple[int, int]:
    """Start a job that has a process which nothing but its cgroup tells of; return run id and that process."""
    path = rig.folder / "hidden"
    run_id = rig.run("hides", str(path), then)
    return run_id, int(eventually(lambda: path.exists() and path.read_text()))


def test_each_run_has_a_cgroup_that_is_named_by_it_and_goes_with_it(rig: Rig, cgroup: Delegation) -> None:
    run_id = rig.run("tells")
    assert rig.ended(run_id) == Code(0)
    assert f"/{Path(cgroup.path).name}/web.{run_id}" in rig.out(run_id)
    assert not Path(cgroup.path, f"web.{run_id}").exists()


BORN_IN = """
from supervisor.engine import cgroups

def join(path):
    raise OSError(1, "a job that is born in its cgroup has none to join")

cgroups.join = join
"""
NO_CLONE3 = """
from supervisor.engine import forking

forking._SYS_CLONE3 = 1023
"""
A_THREAD = """
import ctypes

libc = ctypes.CDLL(None)
libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)
"""


@pytest.mark.parametrize("preload", [BORN_IN, NO_CLONE3, A_THREAD], ids=["born in it", "no clone3", "a native thread"])
def test_a_process_is_in_its_cgroup_from_the_first_line_on(tmp_path: Path, cgroup: Delegation, preload: str) -> None:
    (tmp_path / "preloaded.py").write_text(preload)
    with real(tmp_path, CODE, cgroup=cgroup, preload=["preloaded"]) as rig:
        for _ in range(2):
            run_id = rig.run("tells")
            assert rig.ended(run_id) == Code(0)
            assert f"/{Path(cgroup.path).name}/web.{run_id}" in rig.out(run_id)


def test_a_process_that_is_born_in_a_cgroup_is_as_any_fork(tmp_path: Path) -> None:
    """It knows its own thread: glibc signals it by the id it remembers, and ends its robust mutexes by their list."""
    program = (
        "import ctypes, os, signal, sys, threading; from supervisor.engine import forking\n"
        "here = os.open(sys.argv[1], os.O_RDONLY)\n"
        "forks = forking.IntoCgroup()\n"
        "assert forks.can_serve\n"
        "def says(word): return lambda: os.write(1, word + b'\\n')  # a line at a time, whoever says it\n"
        "os.register_at_fork(before=says(b'before'), after_in_parent=says(b'parent'), after_in_child=says(b'child'))\n"
        "pid = forks.fork_into(here)()\n"
        "if pid == 0:\n"
        "    assert threading.get_native_id() == os.getpid()\n"
        "    assert forking._thread().robust_list.value == forks._thread.robust_list.value\n"
        "    ctypes.CDLL(None)['raise'](signal.SIGUSR1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    with delegated(tmp_path) as claimed:
        path = cgroups.make(claimed, cgroups.path_of(claimed, "web", 1), {})
        told = subprocess.run([sys.executable, "-u", "-c", program, path], check=True, capture_output=True, text=True)
        cgroups.leave(path)
    assert sorted(told.stdout.split()) == ["-10", "before", "child", "parent"]


@pytest.mark.parametrize("end", ["stop", "kill", "itself"])
def test_what_hides_before_the_stop_ends_with_the_job(rig: Rig, end: str) -> None:
    run_id, pid = hidden(rig, 0.05 if end == "itself" else 1000)
    if end == "stop":
        rig.stop(run_id)
    elif end == "kill":
        rig.kill(run_id)
    rig.ended(run_id)
    assert not is_alive(pid)


def test_what_hides_ends_with_the_fork_server(rig: Rig) -> None:
    run_id, pid = hidden(rig)
    os.kill(rig.server, signal.SIGKILL)
    assert isinstance(rig.ended(run_id), Lost)
    assert not is_alive(pid)
    assert not Path(f"/proc/{pid}").exists()


def test_one_job_with_something_hidden_does_not_end_anothers(rig: Rig) -> None:
    other = rig.command("sleep", "1000")
    bystander = rig.spawned(other)
    run_id, _ = hidden(rig)
    rig.stop(run_id)
    rig.ended(run_id)
    assert is_alive(bystander)


def test_cpu_time_is_that_of_all_that_the_job_had_running(rig: Rig) -> None:
    usage = rig.exited(rig.run("burns_in_a_child_that_nobody_waits_for")).usage
    assert usage.cpu.total_seconds() >= 0.3


def test_a_stop_signal_goes_to_the_group_and_only_the_kill_to_the_cgroup(rig: Rig) -> None:
    """A daemon of a job hears no stop signal: it has left the group that gets it."""
    script = 'trap "echo told" TERM; echo up; while :; do sleep 0.02; done'
    run_id = rig.command("sh", "-c", f"setsid sh -c '{script}' & wait")
    eventually(lambda: "up" in rig.out(run_id))
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)
    assert "told" not in rig.out(run_id)


def test_a_job_that_divides_its_cgroup_leaves_nothing(rig: Rig, cgroup: Delegation) -> None:
    run_id = rig.command(
        "sh", "-c", 'mkdir -p "$0/web.$JOBVISOR_RUN_ID/a/b" && sleep 1000 & echo $! > "$1"; wait', cgroup.path, "pid"
    )
    eventually(lambda: Path(cgroup.path, f"web.{run_id}", "a", "b").is_dir())
    rig.stop(run_id)
    rig.ended(run_id)
    assert not Path(cgroup.path, f"web.{run_id}").exists()


def test_a_run_whose_cgroup_cannot_be_made_runs_without_and_it_is_said(rig: Rig, cgroup: Delegation) -> None:
    first = rig.command("true")
    rig.ended(first)
    Path(cgroup.path, f"web.{first + 1}").mkdir()
    try:
        assert rig.ended(rig.command("true")) == Code(0)
        [line] = rig.engine.warnings
        assert line.startswith("a job runs without a cgroup of its own: File exists (last at ")
    finally:
        Path(cgroup.path, f"web.{first + 1}").rmdir()


def test_the_next_claim_ends_what_a_killed_supervisor_has_left(tmp_path: Path) -> None:
    with delegated(tmp_path) as claimed:
        left = cgroups.make(claimed, cgroups.path_of(claimed, "web", 1), {})
        asleep = "import sys; from supervisor.engine import cgroups; cgroups.join(sys.argv[1]); print(1, flush=True);"
        asleep += "import time; time.sleep(1000)"
        with subprocess.Popen([sys.executable, "-c", asleep, left], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert not cgroups.is_empty(claimed.path)
            assert cgroups.claim(str(tmp_path)) == claimed
            assert process.wait() == -signal.SIGKILL
        assert cgroups.is_empty(claimed.path)
        assert not Path(left).exists()


def test_state_folders_have_cgroups_of_their_own(tmp_path: Path) -> None:
    with delegated(tmp_path / "a") as one, delegated(tmp_path / "b") as other:
        assert one.path != other.path


def test_a_kernel_without_cgroup_kill_is_served_too(tmp_path: Path) -> None:
    with delegated(tmp_path) as claimed:
        path = cgroups.make(claimed, cgroups.path_of(claimed, "web", 1), {})
        with subprocess.Popen(["sleep", "1000"]) as process:
            Path(path, "cgroup.procs").write_text(str(process.pid))
            cgroups._kill_each(path)
            assert process.wait() == -signal.SIGKILL
        cgroups.leave(path)


def test_a_cgroup_that_its_job_has_made_threaded_is_ended_too(tmp_path: Path) -> None:
    with delegated(tmp_path) as claimed:
        path = cgroups.make(claimed, cgroups.path_of(claimed, "web", 1), {})
        inner = Path(path, "inner")
        inner.mkdir()
        with subprocess.Popen(["sleep", "1000"]) as process:
            Path(path, "cgroup.procs").write_text(str(process.pid))
            (inner / "cgroup.type").write_text("threaded")
            (inner / "cgroup.threads").write_text(str(process.pid))
            cgroups.kill(str(inner))
            assert process.wait() == -signal.SIGKILL
        cgroups.leave(path)


def test_a_cgroup_that_is_gone_has_nothing_to_kill(tmp_path: Path) -> None:
    cgroups.kill(str(tmp_path / "gone"))
