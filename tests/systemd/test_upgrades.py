"""A supervisor under a real systemd that becomes another version: the journal and the cgroups of its jobs go on."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import eventually
from lab import JOBVISOR, Lab, lab

pytestmark = pytest.mark.timeout(300)  # a lab may have to install what it needs

UNIT = "jobvisor-app.service"
MANIFEST = """
[jobs.counter]
command = '''
number=0
while [ ! -e /srv/app/enough ]; do number=$((number + 1)); echo "line $number"; sleep 0.01; done
echo $number > /srv/app/counted
sleep 4712
'''
shell = true
log = "journal"

[jobs.ticks]
command = "echo tick"
shell = true
every = "200ms"
log = "journal"

[jobs.hidden]
command = '''
env -i setsid sh -c 'sleep 4711 & exit'
sleep 4711
'''
shell = true
"""
"""What ``hidden`` starts clears every mark but its cgroup."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    with lab("ns") as made:
        made.write("jobs.toml", MANIFEST)
        made.jobvisor("systemd", "--install")
        made.ctl("start", UNIT)
        yield made


def upgrade(machine: Lab) -> None:
    pid = machine.show(UNIT, "MainPID")
    done = machine.jobvisor("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"(pid {pid})" in done.stdout


def printed(machine: Lab, job: str) -> list[dict[str, Any]]:
    return machine.journal(f"JOBVISOR_JOB={job}", f"SYSLOG_IDENTIFIER={job}")


def cgroup(machine: Lab, job: str) -> dict[str, Any]:
    """Return what `show` tells of a job's cgroup, empty while it has none."""
    return machine.json("show", job)["instances"][0]["cgroup"] or {}


def sleepers(machine: Lab) -> list[str]:
    return machine.ask("pgrep", "-f", "^sleep 4711").stdout.split()


def test_every_line_is_in_the_journal_once(machine: Lab) -> None:
    pid = machine.eventually_job("counter", state="running")["pid"]
    for _ in range(3):
        lines = len(printed(machine, "counter"))
        upgrade(machine)
        eventually(lambda lines=lines: len(printed(machine, "counter")) > lines + 10)
    assert machine.job("counter")["pid"] == pid
    machine.write("enough", "")
    count = int(eventually(lambda: machine.read("counted").strip()))
    wanted = [f"line {number}" for number in range(1, count + 1)]
    found = eventually(lambda: (each := printed(machine, "counter")) and len(each) >= count and each)
    assert [entry["MESSAGE"] for entry in found] == wanted
    assert {entry["JOBVISOR_RUN_ID"] for entry in found} == {str(machine.runs("counter")[0]["run_id"])}


def test_runs_from_after_it_write_there_too_with_what_the_supervisor_says_of_them(machine: Lab) -> None:
    upgrade(machine)
    before = max(row["run_id"] for row in machine.runs("ticks"))
    run = eventually(
        lambda: next((row for row in machine.runs("ticks") if row["run_id"] > before and row["outcome"] == "ok"), None)
    )
    match = f"JOBVISOR_RUN_ID={run['run_id']}"
    assert eventually(lambda: [entry["MESSAGE"] for entry in machine.journal(match, "SYSLOG_IDENTIFIER=ticks")])
    own = ("SYSLOG_IDENTIFIER=jobvisor", f"_PID={machine.show(UNIT, 'MainPID')}", match)
    assert eventually(lambda: [entry for entry in machine.journal(*own) if entry.get("JOBVISOR_OUTCOME") == "ok"])
    assert machine.json("status")["warnings"] == []


def test_what_a_run_has_hidden_is_ended_with_its_cgroup_whoever_made_it(machine: Lab) -> None:
    before = eventually(lambda: cgroup(machine, "hidden"))
    eventually(lambda: len(sleepers(machine)) == 2)
    old = sleepers(machine)
    upgrade(machine)
    assert cgroup(machine, "hidden")["path"] == before["path"]
    assert sleepers(machine) == old
    assert machine.jobvisor("restart", "hidden").returncode == 0
    eventually(lambda: len(sleepers(machine)) == 2)
    assert not set(old) & set(sleepers(machine))
    assert cgroup(machine, "hidden")["path"] not in {"", before["path"]}
    assert machine.ask("test", "-e", before["path"]).returncode == 1
    upgrade(machine)
    machine.ctl("kill", "--kill-who=main", "-sKILL", UNIT)
    machine.eventually(UNIT, within=60, ActiveState="active", NRestarts="1")
    eventually(lambda: machine.ask(JOBVISOR, "-f", "/srv/app/jobs.toml", "status").returncode == 0)
    eventually(lambda: len(sleepers(machine)) == 2)
    upgrade(machine)
    machine.ctl("stop", UNIT)
    assert sleepers(machine) == []
