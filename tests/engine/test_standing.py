"""A job's process has the user, the priority, the limits and the input that its table names, or it does not start."""

import json
import os
import pwd
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from rig import Rig, real

from supervisor.core.actions import Spawn
from supervisor.core.exits import Code, NotStarted, Signalled
from supervisor.core.job import Command, Job, Limits, LogMode
from supervisor.values import replace

CODE = """
import ctypes, json, os, resource, sys

def tells():
    number = ctypes.c_int()
    libc = ctypes.CDLL(None)
    libc.prctl(2, ctypes.byref(number))
    print(json.dumps({
        "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "death": number.value,
        "dumpable": libc.prctl(3), "umask": os.umask(0), "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "environ": {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME")},
        "cpu": resource.getrlimit(resource.RLIMIT_CPU), "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "processes": resource.getrlimit(resource.RLIMIT_NPROC), "core": resource.getrlimit(resource.RLIMIT_CORE),
        "input": sys.stdin.read(), "cwd": os.getcwd(),
    }), flush=True)

def spins():
    while True:
        pass

def opens_stderr():
    with open("/dev/stderr", "w") as stderr:
        print("opened", file=stderr)
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with real(tmp_path, CODE) as made:
        yield made


def given(rig: Rig, target: str | Command = "tells", **process: object) -> Job:
    job = rig.job(target)
    return replace(job, process=replace(job.process, **process))  # type: ignore[arg-type]


def told(rig: Rig, **process: object) -> dict[str, Any]:
    run_id = rig.spawn(given(rig, **process))
    assert rig.ended(run_id) == Code(0), rig.err(run_id)
    answer: dict[str, Any] = json.loads(rig.out(run_id))
    return answer


def refused(rig: Rig, target: str | Command = "tells", **process: object) -> NotStarted:
    ended = rig.ended(rig.spawn(given(rig, target, **process)))
    assert isinstance(ended, NotStarted)
    return ended


# -- user and group ----------------------------------------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("user", ["nobody", NOBODY.pw_uid])
def test_a_job_runs_as_its_user_with_its_groups_and_variables(rig: Rig, user: str | int) -> None:
    said = told(rig, user=user)
    assert said["uid"] == [NOBODY.pw_uid] * 3
    assert said["gid"] == [NOBODY.pw_gid] * 3
    assert said["groups"] == os.getgrouplist("nobody", NOBODY.pw_gid)
    assert said["environ"] == {"HOME": NOBODY.pw_dir, "USER": "nobody", "LOGNAME": "nobody"}


@AS_ROOT
def test_a_command_runs_as_its_user(rig: Rig) -> None:
    run_id = rig.spawn(given(rig, Command(argv=("sh", "-c", "id -u; id -gn; echo $HOME")), user="nobody"))
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id).split() == [str(NOBODY.pw_uid), "nogroup", NOBODY.pw_dir]


@AS_ROOT
def test_the_jobs_own_environment_wins_over_the_users(rig: Rig) -> None:
    said = told(rig, user="nobody", env={"HOME": "/srv"})
    assert said["environ"] == {"HOME": "/srv", "USER": "nobody", "LOGNAME": "nobody"}


@AS_ROOT
def test_a_group_takes_the_place_of_the_users_own(rig: Rig) -> None:
    assert told(rig, user="nobody", group="daemon")["gid"] == [1, 1, 1]
    alone = told(rig, group=1)
    assert (alone["uid"], alone["gid"]) == ([0, 0, 0], [1, 1, 1])


@AS_ROOT
def test_a_number_without_a_name_needs_a_group(rig: Rig) -> None:
    said = told(rig, user=54321, group=54322)
    assert (said["uid"], said["groups"]) == ([54321] * 3, [54322])
    assert said["environ"] == {"HOME": "/", "USER": "54321", "LOGNAME": "54321"}
    why = refused(rig, user=54321)
    assert (why.step, why.message) == (
        "user",
        "user 54321 has no entry in passwd, so no group; give `group_id` too",
    )


@AS_ROOT
def test_the_death_signal_is_set_after_the_change_of_user(rig: Rig) -> None:
    assert told(rig, user="nobody")["death"] == signal.SIGKILL


@AS_ROOT
def test_a_user_cannot_look_into_his_job_unless_it_is_to_dump_core(rig: Rig) -> None:
    assert told(rig, user="nobody")["dumpable"] == 0
    assert told(rig, user="nobody", limits=Limits(core=0))["dumpable"] == 0
    assert told(rig, user="nobody", limits=Limits(core=1 << 20))["dumpable"] == 1


@AS_ROOT
def test_a_job_can_open_its_own_output_by_name(rig: Rig) -> None:
    out, write = os.pipe()
    run_id = next(rig._run_ids)
    output = replace(rig.output(run_id), stderr=write)
    job = given(rig, "opens_stderr", user="nobody")

    rig.call(rig.engine.spawn, Spawn(rig.attempt(run_id), job), output)
    assert rig.ended(run_id) == Code(0)
    assert os.read(out, 100) == b"opened\n"
    os.close(out)


@AS_ROOT
def test_the_supervisors_own_output_is_not_given_away(rig: Rig) -> None:
    out, write = os.pipe()
    run_id = next(rig._run_ids)
    output = replace(rig.output(run_id), stderr=write)
    job = replace(given(rig, "tells", user="nobody"), log=LogMode.INHERIT)

    rig.call(rig.engine.spawn, Spawn(rig.attempt(run_id), job), output)
    assert rig.ended(run_id) == Code(0)
    assert os.fstat(out).st_uid == 0
    os.close(out)


def test_an_unknown_user_or_group_is_a_start_that_failed(rig: Rig) -> None:
    why = refused(rig, user="no-such-user")
    assert (why.step, why.errno) == ("user", 0)
    assert why.message == 'there is no user "no-such-user" on this machine; create it, or correct `user`'
    why = refused(rig, group="no-such-group")
    assert why.message == 'there is no group "no-such-group" on this machine; create it, or correct `group_id`'


@AS_ROOT
def test_a_folder_that_the_user_may_not_enter_is_a_start_that_failed(rig: Rig) -> None:
    closed = rig.folder / "closed"
    closed.mkdir(mode=0o700)
    why = refused(rig, user="nobody", cwd=str(closed))
    assert (why.step, why.errno, why.message) == ("chdir", 13, f"Permission denied: {closed}")


@AS_ROOT
def test_who_is_not_root_cannot_change_the_user_or_raise_anything(rig: Rig) -> None:
    """The steps in a process of another user; the engine of the tests is root's."""
    program = """
import json, os, resource, sys
from supervisor.engine import standing
os.setresuid(65534, 65534, 65534)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for step in (
    lambda: standing.change_user({"user": "root", "env": {}, "owns_output": False}),
    lambda: standing.change_user({"group": "daemon", "env": {}}),
    lambda: standing.set_priority(-5),
    lambda: standing.limit([(resource.RLIMIT_NOFILE, hard + 1, hard + 1)]),
    lambda: standing.change_user({"user": 65534, "group": os.getgid(), "env": {}, "owns_output": False}),
):
    try:
        step()
        print("done")
    except PermissionError as error:
        print(error.errno, error.strerror)
"""
    run_id = rig.command(sys.executable, "-c", program, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    assert rig.ended(run_id) == Code(0), rig.err(run_id)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert rig.out(run_id).splitlines() == [
        '1 Operation not permitted: only root can run a job as user "root"',
        '1 Operation not permitted: only root can run a job with group "daemon"',
        "13 Permission denied: only root can raise the priority to -5",
        f"1 Operation not permitted: only root can raise a limit above {hard}, the supervisor's own",
        "done",
    ]


# -- priority, limits, input -------------------------------------------------------------------------------------------


def test_priority_umask_and_limits_are_the_jobs_own(rig: Rig) -> None:
    limits = Limits(cpu_time=timedelta(seconds=90.5), open_files=99, processes=500, core=0)
    said = told(rig, nice=7, umask=0o027, limits=limits)
    assert (said["nice"], said["umask"]) == (7, 0o027)
    assert (said["cpu"], said["files"], said["processes"], said["core"]) == ([91, 96], [99, 99], [500, 500], [0, 0])


def test_a_job_that_sets_none_has_the_supervisors(rig: Rig) -> None:
    said = told(rig)
    before = os.umask(0)
    os.umask(before)
    assert (said["umask"], said["nice"]) == (before, os.getpriority(os.PRIO_PROCESS, 0))
    assert said["cpu"] == list(resource.getrlimit(resource.RLIMIT_CPU))


def test_a_job_out_of_cpu_time_ends_by_the_signal_that_says_so(rig: Rig) -> None:
    run_id = rig.spawn(given(rig, "spins", limits=Limits(cpu_time=timedelta(seconds=1), core=0)))
    assert rig.ended(run_id, within=60) == Signalled(signal.SIGXCPU)


@AS_ROOT
def test_a_user_with_too_many_processes_gets_no_more(rig: Rig) -> None:
    """Of another user, as the limit binds no root; a user of his own, as it counts all that a user runs."""
    shell = Command(argv=("sh", "-c", "sleep 60 & sleep 60"))
    run_id = rig.spawn(given(rig, shell, user=54321, group=54321, limits=Limits(processes=1)))
    assert rig.ended(run_id) == Code(2)
    assert "fork" in rig.err(run_id)


def test_a_file_may_be_standard_input(rig: Rig) -> None:
    text = rig.folder / "input"
    text.write_text("from a file\n")
    assert told(rig, stdin=str(text))["input"] == "from a file\n"
    run_id = rig.spawn(given(rig, Command(argv=("cat",)), stdin=str(text)))
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "from a file\n"
    assert told(rig)["input"] == ""


@AS_ROOT
def test_standard_input_is_opened_as_the_user(rig: Rig) -> None:
    secret = rig.folder / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    why = refused(rig, user="nobody", stdin=str(secret))
    assert (why.step, why.errno, why.message) == ("stdin", 13, f"Permission denied: {secret}")


def test_a_start_that_failed_leaves_the_others_alone(rig: Rig) -> None:
    other = rig.spawn(given(rig, "spins"))
    refused(rig, user="no-such-user")
    eventually(lambda: rig.spawned(other))
    os.kill(rig.spawned(other), 0)
