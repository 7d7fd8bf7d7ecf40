"""The cgroups that systemd delegates to the unit, with the controllers of a User Mode Linux kernel."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import eventually
from lab import APP, JOBVISOR, SLOW, Lab

pytestmark = pytest.mark.timeout(300)  # a lab may have to install what it needs

UNIT = "jobvisor-app.service"
MANIFEST = """
[supervisor]
vitals = "1s"

[jobs.sleeper]
command = ["sleep", "4711"]

[jobs.greedy]
command = ["python3", "-c", "x = bytearray(200 << 20)"]
restart = "never"
limits = { memory = "40M" }

[jobs.burner]
command = ["sh", "-c", "while :; do :; done"]
limits = { cpu = "20%", memory = "100M", processes = 20 }
nice = 5

[jobs.crowd]
command = '''
for each in 1 2 3 4 5 6 7 8 9; do sleep 4713 & done
wait
'''
shell = true
restart = "never"
limits = { processes = 4 }

[jobs.hidden]
command = '''
env -i setsid sh -c 'sleep 4711 & exit'
sleep 4711
'''
shell = true
"""


@pytest.fixture(scope="module", params=["daemon", pytest.param("root", marks=SLOW)])
def machine(uml: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The unit, running as one account and the other."""
    uml.folder = APP
    uml.open_to_all(sys.base_prefix)
    if uml.ask("runuser", "-u", request.param, "--", JOBVISOR, "version").returncode:
        pytest.skip("others may not run the program where it lies")
    uml.write("jobs.toml", MANIFEST)
    uml.run("chown", "-R", f"{request.param}:", uml.folder)
    assert uml.jobvisor("systemd", "--install").stderr == ""
    uml.ctl("start", UNIT)
    if request.param == "daemon":
        assert uml.show(UNIT, "User") == "daemon"
    yield uml
    uml.ctl("stop", UNIT)
    uml.run("sh", "-c", f"rm -rf {APP} /etc/systemd/system/{UNIT} /var/lib/jobvisor /var/log/jobvisor")
    uml.ctl("daemon-reload")


LIMITS = {
    "cpu.max": "20000 100000",
    "cpu.weight.nice": "5",
    "memory.max": str(100 << 20),
    "pids.max": "20",
}


def account(machine: Lab, name: str) -> dict[str, Any]:
    """Return what `show` tells of a job's cgroup, empty while it has none."""
    return machine.json("show", name)["instances"][0]["cgroup"] or {}


def limits_in(machine: Lab, path: str) -> dict[str, str]:
    return {name: machine.run("cat", f"{path}/{name}").strip() for name in LIMITS}


def sleepers(machine: Lab) -> list[str]:
    return machine.ask("pgrep", "-f", "^sleep 4711").stdout.split()


def test_a_job_over_its_memory_ends_for_that_reason_and_ends_nothing_else(machine: Lab) -> None:
    eventually(lambda: machine.job("greedy")["state"] == "failed", within=60)
    [run] = machine.runs("greedy")
    assert (run["outcome"], run["reason"]) == ("failed", "OOMKilled")
    assert machine.show(UNIT, "ActiveState") == "active"
    assert machine.show(UNIT, "NRestarts") == "0"
    assert machine.job("sleeper")["state"] == "running"


def test_limits_are_those_of_the_jobs_cgroup_and_show_tells_what_it_has_used(machine: Lab) -> None:
    told = eventually(lambda: (told := account(machine, "burner")) and told["throttled_s"] > 1 and told, within=60)
    assert told["path"].endswith(f"/burner.{machine.runs('burner')[-1]['run_id']}")
    assert f"/system.slice/{UNIT}/" in told["path"]
    assert limits_in(machine, told["path"]) == LIMITS
    assert told["processes"] == 1
    assert 0 < told["cpu_s"] < told["throttled_s"]
    assert 0 < told["memory_bytes"] <= told["memory_peak_bytes"] < 100 << 20
    assert f"{told['path']}: 1 process, CPU " in machine.jobvisor("show", "burner").stdout
    hidden = eventually(lambda: account(machine, "hidden"))
    assert hidden["processes"] == 3
    assert not [each for each in machine.json("status")["warnings"] if "limits.cpu" in each]
    machine.jobvisor("stop", "burner")  # the machine has one CPU


def test_a_job_has_no_more_processes_than_its_limit_all_of_it_together(machine: Lab) -> None:
    eventually(lambda: machine.job("crowd")["last"], within=60)
    assert machine.job("crowd")["state"] == "failed", "the shell could not fork"
    said = machine.jobvisor("logs", "crowd").stdout
    assert "fork" in said.lower()
    assert machine.job("sleeper")["state"] == "running"


def test_a_version_that_takes_over_keeps_the_limits_and_hears_of_who_crosses_them(machine: Lab) -> None:
    machine.jobvisor("start", "burner")
    before = eventually(lambda: account(machine, "burner"))["path"]
    assert machine.jobvisor("upgrade").returncode == 0
    assert account(machine, "burner")["path"] == before
    assert limits_in(machine, before) == LIMITS
    assert machine.jobvisor("restart", "burner").returncode == 0
    after = account(machine, "burner")["path"]
    assert after != before
    assert limits_in(machine, after) == LIMITS
    machine.jobvisor("stop", "burner")
    machine.jobvisor("start", "greedy", "--no-wait")
    runs = eventually(lambda: (rows := machine.runs("greedy")) and len(rows) == 2 and rows[-1]["ended_at"] and rows)
    assert [(run["outcome"], run["reason"]) for run in runs] == [("failed", "OOMKilled")] * 2
    assert machine.job("sleeper")["state"] == "running"


def test_a_crash_and_a_stop_leave_nothing_of_what_hides(machine: Lab) -> None:
    eventually(lambda: len(sleepers(machine)) == 3, within=60)
    before = sleepers(machine)
    machine.ctl("kill", "--kill-who=main", "-sKILL", UNIT)
    machine.eventually(UNIT, within=60, ActiveState="active", NRestarts="1")
    eventually(lambda: len(sleepers(machine)) == 3, within=60)
    assert not set(before) & set(sleepers(machine))
    machine.jobvisor("stop", "hidden")
    eventually(lambda: len(sleepers(machine)) == 1)
    machine.ctl("stop", UNIT)
    assert sleepers(machine) == []
