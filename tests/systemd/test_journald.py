"""Output and events in a real journal, and a journald that stands still or is gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import eventually
from lab import Lab, lab

pytestmark = pytest.mark.timeout(300)  # a lab may have to install what it needs

UNIT = "jobvisor-app.service"
MANIFEST = """
[defaults]
log = "journal"

[jobs.talker]
command = '''
echo plain; sleep 0.2; echo err >&2; sleep 0.2; echo "<3>bad"; sleep 0.2; echo "<7>detail" >&2; printf unfinished
sleep 4711
'''
shell = true

[jobs.long]
command = ["python3", "-c", "print('x' * 200_000)"]
restart = "never"

[jobs.counter]
command = '''for number in $(seq 1 3000); do echo "line $number"; done; touch /srv/app/counted; sleep 4711'''
shell = true
enabled = false

[jobs.file]
command = "while :; do echo tick; sleep 0.1; done"
shell = true
log = {}
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[Lab]:
    with lab("ns") as made:
        made.write("jobs.toml", MANIFEST)
        made.jobvisor("systemd", "--install")
        made.ctl("start", UNIT)
        yield made


@pytest.fixture
def machine(booted: Lab) -> Iterator[Lab]:
    """The running unit, with a journald that works again afterwards."""
    yield booted
    booted.ctl("kill", "-sCONT", "systemd-journald.service")
    booted.ctl("start", "systemd-journald.socket", "systemd-journald.service")


def entries(machine: Lab, job: str, *match: str) -> list[dict[str, Any]]:
    return machine.journal(f"JOBVISOR_JOB={job}", *match)


def output(machine: Lab, job: str) -> list[dict[str, Any]]:
    return entries(machine, job, f"SYSLOG_IDENTIFIER={job}")


def lines(machine: Lab) -> int:
    return len(machine.jobvisor("logs", "file", "-n", "100000").stdout.splitlines())


def troubles(machine: Lab) -> list[str]:
    warnings: list[str] = machine.json("status")["warnings"]
    return [warning for warning in warnings if warning.startswith("log: ")]


def test_journalctl_finds_a_jobs_lines_with_the_priority_of_their_stream_or_their_own(machine: Lab) -> None:
    found = eventually(lambda: (each := output(machine, "talker")) and len(each) == 4 and each)
    assert [(entry["MESSAGE"], entry["PRIORITY"]) for entry in found] == [
        ("plain", "6"),
        ("err", "4"),
        ("bad", "3"),
        ("detail", "7"),
    ]
    first = found[0]
    assert (first["_SYSTEMD_UNIT"], first["JOBVISOR_INSTANCE"], first["JOBVISOR_ATTEMPT"]) == (UNIT, "1", "1")
    assert first["JOBVISOR_RUN_ID"] == str(machine.runs("talker")[0]["run_id"])
    assert "plain" in machine.text("JOBVISOR_JOB=talker")


def test_a_long_line_is_entries_of_64_kilobytes(machine: Lab) -> None:
    found = eventually(lambda: (each := output(machine, "long")) and len(each) == 4 and each)
    assert "".join(entry["MESSAGE"] for entry in found) == "x" * 200_000


def test_what_the_supervisor_says_of_a_run_is_found_with_its_output(machine: Lab) -> None:
    machine.jobvisor("restart", "talker")
    run_id = machine.runs("talker")[0]["run_id"]
    found = eventually(lambda: entries(machine, "talker", "JOBVISOR_OUTCOME=stopped"))
    assert (found[0]["SYSLOG_IDENTIFIER"], found[0]["PRIORITY"]) == ("jobvisor", "6")
    assert found[0]["JOBVISOR_RUN_ID"] == str(run_id)
    assert found[0]["MESSAGE"].startswith(f"talker: run {run_id} ended after ")


def test_a_journald_that_stands_still_for_a_while_costs_no_line(machine: Lab) -> None:
    machine.ctl("kill", "-sSTOP", "systemd-journald.service")
    machine.write("jobs.toml", MANIFEST.replace("enabled = false", ""))
    assert machine.jobvisor("reload").returncode == 0
    before = lines(machine)
    eventually(lambda: lines(machine) > before + 3)
    machine.ctl("kill", "-sCONT", "systemd-journald.service")
    eventually(lambda: machine.ask("test", "-e", "/srv/app/counted").returncode == 0)
    wanted = [f"line {number}" for number in range(1, 3001)]
    eventually(lambda: [entry["MESSAGE"] for entry in output(machine, "counter")] == wanted)
    assert troubles(machine) == []


def test_a_journald_that_is_gone_costs_lines_and_says_so_and_holds_up_nothing(machine: Lab) -> None:
    machine.ctl("stop", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service")
    machine.run("rm", "-f", "/run/systemd/journal/socket")
    assert machine.jobvisor("restart", "talker").returncode == 0
    assert "lines of talker dropped: journal: " in eventually(lambda: troubles(machine))[0]
    before = lines(machine)
    eventually(lambda: lines(machine) > before + 3)
    machine.ctl("start", "systemd-journald.socket", "systemd-journald.service")
    machine.jobvisor("restart", "talker")
    eventually(lambda: troubles(machine) == [])
    found = eventually(lambda: machine.journal("SYSLOG_IDENTIFIER=talker"))
    assert any("lines lost here: journal: " in entry["MESSAGE"] for entry in found)
