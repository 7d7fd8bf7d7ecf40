"""The supervisor as a unit of a real systemd, with the unit file that it writes itself."""

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import eventually
from lab import APP, JOBVISOR, Lab, lab
from stories import DOCS, blocks

pytestmark = pytest.mark.timeout(300)  # a lab may have to install what it needs

UNIT = "jobvisor-app.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/lab.conf"
QUICK = "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n"
SLEEPER = '[jobs.sleeper]\ncommand = ["sleep", "4711"]\n'
TICKS = '[jobs.ticks]\ncommand = ["true"]\nevery = "1s"\n'
SLOWLY = """
[jobs.slowly]
command = "sleep 3; echo up; exec sleep 4711"
shell = true
ready = { log = "up" }
"""
BEHIND = '[jobs.behind]\ncommand = ["sleep", "4711"]\nafter = ["slowly"]\n'
STUBBORN = """
[jobs.stubborn]
command = '''
trap "" TERM
setsid sh -c 'trap "" TERM; touch /srv/app/up; sleep 4711' &
sleep 4711
'''
shell = true
stop_timeout = "STOP"
"""
"""It ignores TERM, and so does what it has put into a session of its own."""


@pytest.fixture(scope="module")
def booted() -> Iterator[Lab]:
    with lab("ns") as made:
        yield made


@pytest.fixture
def machine(booted: Lab) -> Iterator[Lab]:
    """A lab in which nothing of an earlier test is left."""
    yield booted
    booted.folder = APP
    booted.ask("systemctl", "stop", UNIT)
    booted.ask("systemctl", "reset-failed", UNIT)
    assert booted.ask("pgrep", "-fa", "sleep 4711").stdout == ""
    booted.run("sh", "-c", f"rm -rf {booted.folder} /etc/systemd/system/{UNIT}* /var/lib/jobvisor /var/log/jobvisor")


def install(machine: Lab, manifest: str, drop_in: str = QUICK) -> None:
    machine.write("jobs.toml", manifest)
    assert machine.jobvisor("systemd", "--install").stderr == ""
    machine.write(DROP_IN, drop_in)
    machine.ctl("daemon-reload")


def start(machine: Lab, manifest: str, drop_in: str = QUICK) -> int:
    """Install and start; return the supervisor's pid."""
    install(machine, manifest, drop_in)
    machine.ctl("start", UNIT)
    return main_pid(machine)


def main_pid(machine: Lab) -> int:
    return int(machine.show(UNIT, "MainPID"))


def sleepers(machine: Lab) -> list[str]:
    return machine.ask("pgrep", "-f", "^sleep 4711").stdout.split()


def test_it_is_started_when_its_jobs_are_and_any_shell_finds_it(machine: Lab) -> None:
    pid = start(machine, SLEEPER + TICKS)
    assert len(sleepers(machine)) == 1
    assert machine.show(UNIT, "StatusText") == "2 jobs ok"
    assert machine.show(UNIT, "ActiveState") == "active"
    status = machine.json("status")
    assert status["supervisor"]["pid"] == pid
    assert machine.ask("env", "-C", "/", JOBVISOR, "-f", "/srv/app/jobs.toml", "status").returncode == 0
    assert machine.ask("ls", "-A", "/srv/app").stdout.split() == ["jobs.toml"]
    eventually(lambda: machine.runs("ticks"))
    machine.ctl("stop", UNIT)
    assert machine.jobvisor("status").returncode == 4
    assert machine.runs("ticks")


def test_systemd_has_nothing_to_say_against_the_unit_and_calls_its_exposure_medium_at_worst(machine: Lab) -> None:
    install(machine, SLEEPER)
    done = machine.ask("systemd-analyze", "verify", UNIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert exposure(machine) < 5.5
    machine.write(DROP_IN, "[Service]\nUser=daemon\nCapabilityBoundingSet=\n")
    machine.ctl("daemon-reload")
    assert exposure(machine) < 3.7


def exposure(machine: Lab) -> float:
    last = machine.ask("systemd-analyze", "security", "--no-pager", UNIT).stdout.splitlines()[-1]
    found = re.search(r"exposure level for .*: ([\d.]+)", last)
    assert found is not None
    return float(found[1])


def test_a_job_that_does_not_start_fails_no_unit_and_is_named_in_its_status(machine: Lab) -> None:
    start(machine, SLEEPER + '[jobs.broken]\ncommand = ["/no/such/program"]\n')
    assert machine.show(UNIT, "ActiveState") == "active"
    eventually(lambda: machine.show(UNIT, "StatusText").startswith("1 of 2 jobs ok; broken failing: "))
    assert machine.jobvisor("status").returncode == 3


def test_jobs_that_take_longer_to_be_ready_than_systemd_waits_are_waited_for(machine: Lab) -> None:
    install(machine, SLOWLY + BEHIND, QUICK + "TimeoutStartSec=2s\n")
    machine.ctl("start", "--no-block", UNIT)
    machine.eventually(UNIT, ActiveState="activating", StatusText="0 of 2 jobs ok, 2 starting")
    machine.ctl("start", UNIT)
    assert machine.show(UNIT, "ActiveState") == "active"
    assert [machine.job(name)["state"] for name in ("slowly", "behind")] == ["running", "running"]
    took = [int(machine.show(UNIT, f"{name}Monotonic")) for name in ("InactiveExitTimestamp", "ActiveEnterTimestamp")]
    assert took[1] - took[0] > 3_000_000
    assert machine.show(UNIT, "NRestarts") == "0"


def test_a_supervisor_that_hangs_while_its_jobs_start_is_started_again(machine: Lab) -> None:
    install(machine, SLOWLY.replace("sleep 3", "sleep 600"), QUICK + "TimeoutStartSec=2s\n")
    machine.ctl("start", "--no-block", UNIT)
    machine.eventually(UNIT, ActiveState="activating", StatusText="0 of 1 job ok, 1 starting")
    pid = main_pid(machine)
    machine.ctl("kill", "--kill-who=main", "-sSTOP", UNIT)
    eventually(lambda: main_pid(machine) not in {0, pid}, within=40)


def test_a_release_that_is_deployed_by_a_link_keeps_unit_state_and_address(machine: Lab) -> None:
    machine.folder = "/srv/app/current"

    def deploy(release: str, manifest: str) -> None:
        machine.run("mkdir", "-p", f"/srv/app/releases/{release}")
        machine.run("ln", "-sfn", f"releases/{release}", "/srv/app/current")
        machine.write("jobs.toml", manifest)

    deploy("1", TICKS)
    assert machine.jobvisor("systemd", "--install", "--name", UNIT).returncode == 0
    machine.ctl("start", UNIT)
    first = eventually(lambda: machine.runs("ticks"))[0]["run_id"]
    deploy("2", SLEEPER + TICKS)
    machine.ctl("reload", UNIT)
    eventually(lambda: machine.show(UNIT, "StatusText") == "2 jobs ok")
    for order in ("reload", "restart"):
        machine.ctl(order, UNIT)
        assert machine.job("sleeper")["state"] == "running"
    assert "sleeper" in machine.run(JOBVISOR, "-f", "/srv/app/current/jobs.toml", "status")
    machine.ctl("stop", UNIT)
    assert machine.runs("ticks")[0]["run_id"] == first
    assert machine.run("ls", "/var/lib/jobvisor").count("\n") == 1


def test_a_bad_manifest_fails_the_unit_for_good_and_says_why(machine: Lab) -> None:
    install(machine, SLEEPER)
    machine.write("jobs.toml", SLEEPER + "evry = 1\n")
    assert machine.ask("systemctl", "start", UNIT).returncode != 0
    machine.eventually(UNIT, ActiveState="failed", SubState="failed", ExecMainStatus="78", NRestarts="0")
    assert 'jobs.toml:3: jobs.sleeper.evry: unknown key; did you mean "every"?' in machine.text("-u", UNIT)


def test_a_hung_supervisor_is_started_again_with_its_stacks_in_the_journal(machine: Lab) -> None:
    pid = start(machine, SLEEPER)
    [sleeper] = sleepers(machine)
    machine.ctl("kill", "--kill-who=main", "-sSTOP", UNIT)
    eventually(lambda: main_pid(machine) not in {0, pid})
    machine.eventually(UNIT, ActiveState="active", NRestarts="1")
    eventually(lambda: len(sleepers(machine)) == 1)
    assert sleepers(machine) != [sleeper]
    text = machine.text("-u", UNIT)
    assert "Watchdog timeout" in text
    assert "Fatal Python error: Aborted" in text


def test_a_live_supervisor_outlives_its_watchdog(machine: Lab) -> None:
    pid = start(machine, SLEEPER, "[Service]\nWatchdogSec=500ms\n")
    seen = int(machine.show(UNIT, "WatchdogTimestampMonotonic"))
    eventually(lambda: int(machine.show(UNIT, "WatchdogTimestampMonotonic")) > seen + 2_000_000)
    assert (main_pid(machine), machine.show(UNIT, "NRestarts")) == (pid, "0")


def test_a_reload_starts_and_stops_what_was_edited_and_a_bad_one_fails_and_changes_nothing(machine: Lab) -> None:
    pid = start(machine, SLEEPER)
    [sleeper] = sleepers(machine)
    machine.write("jobs.toml", SLEEPER + TICKS)
    machine.ctl("reload", UNIT)
    eventually(lambda: machine.show(UNIT, "StatusText") == "2 jobs ok")
    machine.write("jobs.toml", SLEEPER + "evry = 1\n")
    assert machine.ask("systemctl", "reload", UNIT).returncode != 0
    eventually(lambda: machine.show(UNIT, "StatusText").startswith("reload refused (jobs.toml:3: jobs.sleeper.evry"))
    assert (main_pid(machine), sleepers(machine)) == (pid, [sleeper])
    assert machine.job("ticks")["state"]


def test_an_upgrade_keeps_unit_process_and_jobs(machine: Lab) -> None:
    pid = start(machine, SLEEPER + TICKS)
    before = sleepers(machine)
    invocation = machine.show(UNIT, "InvocationID")
    done = machine.jobvisor("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"(pid {pid})" in done.stdout
    assert (main_pid(machine), sleepers(machine)) == (pid, before)
    machine.eventually(UNIT, ActiveState="active", NRestarts="0", StatusText="2 jobs ok", InvocationID=invocation)
    pinged = int(machine.show(UNIT, "WatchdogTimestampMonotonic"))
    eventually(lambda: int(machine.show(UNIT, "WatchdogTimestampMonotonic")) > pinged + 2_000_000)
    machine.write("jobs.toml", SLEEPER)
    machine.ctl("reload", UNIT)
    machine.eventually(UNIT, ActiveState="active", NRestarts="0", StatusText="1 job ok")
    assert machine.json("status")["supervisor"]["pid"] == main_pid(machine) == pid
    assert sleepers(machine) == before
    ours = machine.journal(f"_PID={pid}", "SYSLOG_IDENTIFIER=jobvisor")
    assert any(" goes on from version " in entry["MESSAGE"] for entry in ours)
    machine.ctl("stop", UNIT)
    machine.eventually(UNIT, ActiveState="inactive", Result="success", ExecMainStatus="0")
    assert sleepers(machine) == []


def test_a_stop_ends_stubborn_jobs_and_what_left_their_session(machine: Lab) -> None:
    start(machine, SLEEPER + STUBBORN.replace("STOP", "1s"))
    eventually(lambda: machine.ask("test", "-e", "/srv/app/up").returncode == 0)
    assert len(sleepers(machine)) == 3
    invocation = machine.show(UNIT, "InvocationID")
    machine.ctl("stop", UNIT)
    machine.eventually(UNIT, ActiveState="inactive", Result="success", ExecMainStatus="0")
    assert sleepers(machine) == []
    said = machine.text("_PID=1", f"INVOCATION_ID={invocation}")
    assert "Deactivated successfully" in said
    assert "Killing" not in said


def test_a_stop_that_takes_longer_than_systemd_was_told_is_waited_for(machine: Lab) -> None:
    start(machine, STUBBORN.replace("STOP", "4s"), "[Service]\nTimeoutStopSec=2s\n")
    eventually(lambda: machine.ask("test", "-e", "/srv/app/up").returncode == 0)
    machine.ctl("stop", UNIT)
    machine.eventually(UNIT, ActiveState="inactive", Result="success", ExecMainStatus="0")
    assert sleepers(machine) == []


def test_a_crash_leaves_no_orphan_and_loses_no_record(machine: Lab) -> None:
    pid = start(machine, SLEEPER + '[jobs.long]\ncommand = ["sleep", "4711"]\nevery = "1s"\n')
    eventually(lambda: len(sleepers(machine)) == 2)
    before = sleepers(machine)
    machine.ctl("kill", "--kill-who=main", "-sKILL", UNIT)
    eventually(lambda: main_pid(machine) not in {0, pid})
    machine.eventually(UNIT, ActiveState="active", NRestarts="1")
    eventually(lambda: len(sleepers(machine)) == 2)
    assert not set(before) & set(sleepers(machine))
    assert [row["outcome"] for row in machine.runs("sleeper")][:1] == ["lost"]
    assert [row["outcome"] for row in machine.runs("long") if row["started_at"]][:1] == ["lost"]


def test_an_essential_job_that_gives_up_fails_the_unit_which_is_started_again(machine: Lab) -> None:
    essential = '[jobs.essential]\ncommand = ["false"]\nbackoff = "none"\nmax_restarts = 1\non_give_up = "escalate"\n'
    install(machine, essential)
    machine.ask("systemctl", "start", UNIT)
    eventually(lambda: int(machine.show(UNIT, "NRestarts")) >= 1)
    assert "essential gave up" in machine.text("-u", UNIT)


def test_shutdown_is_an_end_that_was_asked_for(machine: Lab) -> None:
    start(machine, SLEEPER)
    assert machine.jobvisor("shutdown").returncode == 0
    machine.eventually(UNIT, ActiveState="inactive", Result="success", NRestarts="0")


def test_runs_as_the_owner_of_the_manifest(machine: Lab) -> None:
    machine.open_to_all(sys.base_prefix)
    if machine.ask("runuser", "-u", "daemon", "--", JOBVISOR, "version").returncode:
        pytest.skip("others may not run the program where it lies")
    machine.write("jobs.toml", '[jobs.me]\ncommand = "id -un; touch mine; exec sleep 4711"\nshell = true\n')
    machine.run("chown", "-R", "daemon:", "/srv/app")
    start(machine, machine.read("jobs.toml"))
    eventually(lambda: machine.jobvisor("logs", "me").stdout.endswith(" daemon\n"))
    assert machine.run("stat", "-c", "%U", "/srv/app/mine").strip() == "daemon"
    for account, allowed in (("daemon", True), ("nobody", False)):
        asked = machine.ask("runuser", "-u", account, "--", JOBVISOR, "-f", "/srv/app/jobs.toml", "status")
        assert (asked.returncode == 0) is allowed


def test_a_set_user_id_program_works_once_all_is_taken_back_that_the_manual_names(machine: Lab) -> None:
    machine.open_to_all(sys.base_prefix)
    if machine.ask("runuser", "-u", "daemon", "--", JOBVISOR, "version").returncode:
        pytest.skip("others may not run the program where it lies")
    machine.run("install", "-m", "4755", "/bin/cat", "/usr/local/bin/rootcat")
    machine.write("jobs.toml", '[jobs.look]\ncommand = ["rootcat", "/proc/self/status"]\nevery = "1h"\n')
    machine.run("chown", "-R", "daemon:", "/srv/app")
    [taken_back] = [each.text for each in blocks(DOCS / "how-to" / "systemd.md") if each.title == "override.conf"]
    for drop_in, user in (("[Service]\nNoNewPrivileges=no\n", "1"), (taken_back, "0")):
        start(machine, machine.read("jobs.toml"), drop_in)
        shown = machine.jobvisor("trigger", "look", "--wait").stdout
        assert re.search(r"^Uid:\t\d+\t(\d+)", shown, re.MULTILINE)[1] == user  # type: ignore[index]
        machine.ctl("stop", UNIT)


def test_from_systemd_253_on_a_reload_is_over_when_it_is_applied() -> None:
    with lab("ns", "--min-systemd", "254") as machine:
        pid = start(machine, SLEEPER)
        assert machine.show(UNIT, "Type") == "notify-reload"
        machine.write("jobs.toml", SLEEPER + TICKS)
        machine.ctl("reload", UNIT)
        assert machine.job("ticks")["state"] in {"waiting", "running"}
        assert machine.jobvisor("upgrade").returncode == 0
        machine.write("jobs.toml", SLEEPER)
        machine.ctl("reload", UNIT)
        machine.eventually(UNIT, ActiveState="active", StatusText="1 job ok")
        assert machine.jobvisor("reload").returncode == 0
        machine.eventually(UNIT, ActiveState="active", StatusText="1 job ok")
        machine.write("jobs.toml", "bad\n")
        machine.ctl("reload", UNIT)
        eventually(lambda: machine.show(UNIT, "StatusText").startswith("reload refused (jobs.toml:1: not TOML"))
        assert (machine.show(UNIT, "ActiveState"), main_pid(machine)) == ("active", pid)


def test_after_a_reboot_the_schedule_goes_on(tmp_path: Path) -> None:
    binds = [option for each in ("lib", "log") for option in ("--bind", f"{tmp_path / each}:/var/{each}/jobvisor")]
    for each in ("lib", "log"):
        (tmp_path / each).mkdir()
    with lab("ns", *binds) as machine:
        start(machine, TICKS)
        eventually(lambda: len(machine.runs("ticks")) >= 2)
        machine.down()
        machine.up(*binds)
        start(machine, TICKS)
        before = len(machine.runs("ticks"))
        eventually(lambda: len(machine.runs("ticks")) >= before + 2)
        dues = [datetime.fromisoformat(row["due_at"]) for row in machine.runs("ticks")]
        assert {after - earlier for earlier, after in pairwise(dues)} == {timedelta(seconds=1)}
        assert {row["reason"] for row in machine.runs("ticks") if row["outcome"] == "missed"} <= {
            "the supervisor was down"
        }
        run_ids = [row["run_id"] for row in machine.runs("ticks")]
        assert len(set(run_ids)) == len(run_ids)


def test_a_users_own_service_manager_runs_it_too() -> None:
    with lab("ns", "--logind") as machine:
        machine.run("systemctl", "start", "user@0.service")
        machine.write("jobs.toml", SLEEPER)
        asked = ["env", "-C", "/srv/app", "XDG_RUNTIME_DIR=/run/user/0"]
        assert machine.ask(*asked, JOBVISOR, "systemd", "--user", "--install").stderr == ""
        machine.run(*asked, "systemctl", "--user", "start", UNIT)
        assert machine.ask(*asked, JOBVISOR, "status").returncode == 0
        assert machine.run(*asked, "systemctl", "--user", "show", "--value", "-p", "StatusText", UNIT) == "1 job ok\n"
        machine.run(*asked, "systemctl", "--user", "stop", UNIT)
        assert sleepers(machine) == []
