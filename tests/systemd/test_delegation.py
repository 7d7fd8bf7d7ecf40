"""The cgroups that systemd delegates to the unit, with the controllers of a User Mode Linux kernel."""

import sys
from collections.abc import Iterator

import pytest
from conftest import eventually
from lab import JOBVISOR, SLOW, Lab, lab

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

[jobs.hidden]
command = '''
env -i setsid sh -c 'sleep 4711 & exit'
sleep 4711
'''
shell = true
"""


@pytest.fixture(scope="module", params=["daemon", pytest.param("root", marks=SLOW)])
def machine(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The unit, running as one account and the other."""
    with lab("uml") as made:
        made.open_to_all(sys.base_prefix)
        if made.ask("runuser", "-u", request.param, "--", JOBVISOR, "version").returncode:
            pytest.skip("others may not run the program where it lies")
        made.write("jobs.toml", MANIFEST)
        made.run("chown", "-R", f"{request.param}:", made.folder)
        assert made.jobvisor("systemd", "--install").stderr == ""
        made.ctl("start", UNIT)
        if request.param == "daemon":
            assert made.show(UNIT, "User") == "daemon"
        yield made


def sleepers(machine: Lab) -> list[str]:
    return machine.ask("pgrep", "-f", "^sleep 4711").stdout.split()


def test_a_job_over_its_memory_ends_for_that_reason_and_ends_nothing_else(machine: Lab) -> None:
    eventually(lambda: machine.job("greedy")["state"] == "failed", within=60)
    [run] = machine.runs("greedy")
    assert (run["outcome"], run["reason"]) == ("failed", "OOMKilled")
    assert machine.show(UNIT, "ActiveState") == "active"
    assert machine.show(UNIT, "NRestarts") == "0"
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
