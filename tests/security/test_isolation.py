"""What a job that runs as another user can reach of the supervisor and of other jobs: nothing. The real program."""

import encodings.utf_8_sig  # noqa: F401  # as the commands below
import importlib
import json
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import eventually
from program import Program, program

from supervisor.cli.commands import COMMANDS
from supervisor.cli.main import main
from supervisor.control.client import connect
from supervisor.errors import JobvisorError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")

PRIES = """
import ctypes, json, os, socket, sys
from supervisor import job

def attempt(what):
    try:
        return repr(what())
    except OSError as error:
        return type(error).__name__

def connects(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)

def attaches(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")

def pries(folder, other, parts):
    state = folder + "/.jobvisor"
    found = {"uid": os.getuid(), "fds": sorted(map(int, os.listdir("/proc/self/fd")))}
    found["socket"] = attempt(lambda: connects(state + "/control.sock"))
    for name in ("history.db", "logs/other.log", "checkpoints/other:1.json", "lock"):
        found[name] = attempt(lambda: open(f"{state}/{name}").read(10))
    for pid in [other, *parts]:
        found[f"signal {pid}"] = attempt(lambda: os.kill(pid, 0))
        found[f"fds {pid}"] = attempt(lambda: os.listdir(f"/proc/{pid}/fd"))
        found[f"memory {pid}"] = attempt(lambda: open(f"/proc/{pid}/mem"))
        found[f"environ {pid}"] = attempt(lambda: open(f"/proc/{pid}/environ").read())
        found[f"ptrace {pid}"] = attempt(lambda: attaches(pid))
    print(json.dumps(found), flush=True)
"""
OTHER = """
import time
from supervisor import job
def run():
    job.checkpoint({"mine": 1})
    print("secret of the other", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def app() -> Iterator[Program]:
    """A folder that every user may enter; pytest closes its own to others whenever one more of it starts."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with program(Path(folder)) as made:
            yield made


@pytest.mark.parametrize("other_user", ["root", "nobody"])
def test_a_job_of_a_user_reaches_neither_the_supervisor_nor_another_job(app: Program, other_user: str) -> None:
    manifest = f'[jobs.other]\nrun = "jobs.other:run"\nuser = "{other_user}"\n'
    app.write(manifest, other=OTHER, pries=PRIES)
    app.run()
    eventually(lambda: "secret" in app.output("other"))
    other = app.job("other")["pid"]
    parts = [app.pid, app.part("engine.forkserver"), app.part("logs.process")]
    pries = '[jobs.pries]\nrun = "jobs.pries:pries"\nuser = "nobody"\nrestart = "never"\nlog = { timestamps = false }\n'
    app.write(f"{manifest}{pries}args = {json.dumps([str(app.folder), other, parts])}\n")
    assert app.ctl("reload").returncode in {0, 1}
    found: dict[str, Any] = json.loads(eventually(lambda: (said := app.output("pries")).endswith("\n") and said))
    assert found.pop("uid") == pwd.getpwnam("nobody").pw_uid
    assert set(found.pop("fds")) <= {0, 1, 2, 3, 4, 5, 6}
    if other_user == "nobody":
        assert found.pop(f"signal {other}") == "None"  # who runs as the same user may stop it
    assert set(found.values()) <= {"PermissionError", "FileNotFoundError"}, found
    assert found["socket"] == found["history.db"] == found[f"ptrace {other}"] == "PermissionError"


def test_nothing_of_the_state_is_readable_by_others_whatever_the_umask(app: Program) -> None:
    app.write('[jobs.other]\nrun = "jobs.other:run"\n[jobs.bad]\nrun = "jobs.bad:run"\nrestart = "never"\n',
              other=OTHER, bad="def run(): 1 / 0")  # fmt: skip
    before = os.umask(0)
    try:
        app.run()
    finally:
        os.umask(before)
    eventually(lambda: "secret" in app.output("other") and "ZeroDivisionError" in app.output("bad"))
    state = app.folder / ".jobvisor"
    eventually((state / "checkpoints").exists)
    open_to_others = [path for path in (state, *state.rglob("*")) if path.lstat().st_mode & 0o077]
    assert open_to_others == []


SLEEPER = '[jobs.sleeper]\ncommand = ["sleep", "1000"]\n'
GROUP = 54_321
"""Which no entry of group(5) needs to have."""


def asked_by(uid: int, gid: int, groups: list[int], path: Path) -> str:
    """Return what the supervisor says of its health to a user with these groups, or why it cannot be asked."""
    answer, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            with connect([str(path)]) as client:
                os.write(said, str(client.ask("status")["supervisor"]["healthy"]).encode())
        except JobvisorError as error:
            os.write(said, str(error).encode())
        finally:
            os._exit(0)
    os.close(said)
    with os.fdopen(answer) as lines:
        told = lines.read()
    os.waitpid(child, 0)
    return told


def test_members_of_the_socket_group_ask_the_supervisor_and_nobody_else(app: Program) -> None:
    app.write(f"[supervisor]\nsocket_group = {GROUP}\n", other=OTHER)
    app.run()
    path = app.folder / ".jobvisor" / "control.sock"
    nobody = pwd.getpwnam("nobody")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert asked_by(nobody.pw_uid, nobody.pw_gid, [GROUP], path) == "True"
    assert asked_by(nobody.pw_uid, nobody.pw_gid, [*range(60_000, 60_400), GROUP], path) == "True"
    assert asked_by(nobody.pw_uid, GROUP, [], path) == "True"
    assert asked_by(nobody.pw_uid, nobody.pw_gid, [GROUP + 1], path).startswith(
        f"not allowed to use {path}: only root, "
    )
    for each in (path.parent, path):
        each.chmod(0o777)
    why = f'not allowed: only root, the supervisor\'s own user and the members of group "{GROUP}" are'
    assert asked_by(nobody.pw_uid, nobody.pw_gid, [], path) == why
    assert asked_by(nobody.pw_uid, nobody.pw_gid, [*range(60_000, 60_400)], path) == why


TALKS = """
[jobs.talks]
command = ["sh", "-c", "echo talking; exit 3"]
every = "1h"
"""


for _name in COMMANDS:  # what another user may not read is imported before
    importlib.import_module(f"supervisor.cli.{_name}")


def told_to(uid: int, groups: list[int], folder: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code of a command that a user gives, and all that it prints."""
    answer, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.setgroups(groups)
        os.setresgid(65_534, 65_534, 65_534)
        os.setresuid(uid, uid, uid)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = 70
        try:
            code = main(arguments)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(said)
    with os.fdopen(answer) as lines:
        told = lines.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def test_a_member_of_the_group_gives_orders_and_is_told_that_files_are_not_for_him(app: Program) -> None:
    app.write(f"[supervisor]\nsocket_group = {GROUP}\n{SLEEPER}{TALKS}")
    app.run()
    member = partial(told_to, pwd.getpwnam("nobody").pw_uid, [GROUP], app.folder)
    assert member("stop", "sleeper") == (0, "sleeper: stopped\n")
    assert member("trigger", "talks", "--wait") == (3, "talking\ntalks: failed: exit 3\n")
    code, told = member("show", "talks")
    assert code == 0
    assert "history.db: Permission denied" in told
    assert "settings" in told
    for command in ("logs", "logs talks", "history", "errors"):
        code, told = member(*command.split())
        assert (code, told.count("\n")) == (1, 1), told
        assert "Permission denied" in told


@pytest.mark.parametrize(("group", "reached"), [("", "PermissionError"), (f"group_id = {GROUP}\n", "None")])
def test_a_job_of_a_user_reaches_the_socket_only_as_a_member_of_the_group(
    app: Program, group: str, reached: str
) -> None:
    app.write(
        f'[supervisor]\nsocket_group = {GROUP}\n[jobs.pries]\nrun = "jobs.pries:pries"\nuser = "nobody"\n{group}'
        f'restart = "never"\nlog = {{ timestamps = false }}\nargs = {json.dumps([str(app.folder), 1, []])}\n',
        pries=PRIES,
    )
    app.run()
    found = json.loads(eventually(lambda: (said := app.output("pries")).endswith("\n") and said))
    assert found["socket"] == reached
    assert {found[name] for name in ("history.db", "lock")} == {"PermissionError"}


def test_a_socket_group_that_cannot_come_near_is_a_warning(app: Program) -> None:
    app.write(f'[supervisor]\nsocket_group = {GROUP}\nsocket = "closed/open/control.sock"\n{SLEEPER}')
    closed = app.folder / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    app.run()
    path = closed / "open" / "control.sock"
    (warning,) = app.json("status")["warnings"]
    assert warning == (
        f'socket: members of group "{GROUP}" cannot reach {path}: {closed} is closed to them; '
        "open it (chmod o+x), or name a socket elsewhere"
    )
    assert "cannot reach" in app.log
    assert stat.S_IMODE((closed / "open").stat().st_mode) == 0o755  # open before, and left as it was


def test_a_socket_group_that_the_machine_does_not_know_is_told_by_check_and_run(app: Program) -> None:
    app.write(f'[supervisor]\nsocket_group = "no-such-group"\n{SLEEPER}')
    why = 'there is no group "no-such-group" on this machine; create it, or correct `socket_group`\n'
    checked, ran = app.ctl("check"), app.ctl("run")
    assert (checked.returncode, checked.stderr) == (1, f"jobs.toml:2: supervisor.socket_group: {why}")
    assert (ran.returncode, ran.stderr.splitlines(keepends=True)[-1]) == (
        1,
        f"the control socket cannot be opened to its group: {why}",
    )


def test_a_preload_that_a_jobs_user_can_change_is_a_warning(app: Program) -> None:
    app.write(
        '[supervisor]\npreload = ["jobs.shared"]\n[jobs.a]\ncommand = ["sleep", "1000"]\nuser = "nobody"\n', shared=""
    )
    shared = app.folder / "jobs" / "shared.py"
    os.chown(shared, pwd.getpwnam("nobody").pw_uid, -1)
    app.run()
    (warning,) = [each for each in app.json("status")["warnings"] if "jobs.shared" in each]
    assert warning == f'preload: "jobs.shared" can be changed by user "nobody", as which a job runs: {shared}'
    os.chown(shared, 0, -1)
    assert app.ctl("reload").returncode == 0
    assert not [each for each in app.json("status")["warnings"] if "jobs.shared" in each]
