"""The command over real files: what it prints passes `check` and runs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program
from shell import Shell

FILES = Path(__file__).parents[1] / "imports" / "files"


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def import_into(made: Program, name: str) -> None:
    done = made.ctl("import", str(FILES / name))
    assert (done.returncode, done.stderr) == (0, "")
    made.write(done.stdout)
    checked = made.ctl("check")
    assert checked.returncode == 0, checked.stderr


def running(made: Program) -> set[tuple[str, int]]:
    return {(job["name"], job["instance"]) for job in made.json("status")["jobs"] if job["state"] == "running"}


@pytest.mark.parametrize(
    "name", ["debian-crontab", "user-crontab", "supervisord.conf", "Procfile", "poller.service", "sweep.timer"]
)
def test_what_a_real_file_becomes_passes_check(name: str, jobvisor: Shell) -> None:
    done = jobvisor("import", str(FILES / name))
    assert done.stdout.startswith(f"# From {FILES / name}. ")
    jobvisor.write(done.stdout)
    checked = jobvisor("check")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["fstrim.timer", "fstrim.service", "apt-daily.timer", "apt-daily.service"])
def test_a_unit_of_debian_has_a_schedule_from_either_of_its_files(name: str, jobvisor: Shell) -> None:
    jobvisor.write(jobvisor("import", str(FILES / name)).stdout)
    listed = jobvisor("next", "-n", "1")
    assert listed.returncode == 0
    assert name.partition(".")[0] in listed.stdout


def test_a_crontab_runs(made: Program) -> None:
    import_into(made, "user-crontab")
    made.run()
    assert "weekday" in made.ctl("trigger", "echo-2", "--wait").stdout
    assert made.ctl("trigger", "cat", "--wait").returncode == 0
    assert (made.folder / "letter").read_text() == "Dear Joe,\n\nyou owe me 100% of it.\n"


def test_programs_of_supervisord_run(made: Program) -> None:
    import_into(made, "supervisord.conf")
    made.run()
    wanted = {("web", 1), ("web", 2), ("worker_01", 1), ("worker_02", 1), ("worker_03", 1), ("cache", 1)}
    eventually(lambda: running(made) == wanted)
    assert made.job("migrate")["state"] == "disabled"
    assert "worker 3 of 3" in eventually(lambda: made.output("worker_03"))


def test_processes_of_a_procfile_run(made: Program) -> None:
    import_into(made, "Procfile")
    made.run()
    made.eventually_job("worker", state="running")
    assert "serving on 5000" in eventually(lambda: made.output("web"))


def test_a_service_runs(made: Program) -> None:
    import_into(made, "poller.service")
    made.run()
    made.eventually_job("poller", state="running")
    assert "hello world in poller" in eventually(lambda: made.output("poller"))


def test_what_a_timer_starts_runs(made: Program) -> None:
    import_into(made, "sweep.timer")
    made.run()
    assert made.job("sweep")["next_due_at"] is not None
    assert "swept by sweep" in made.ctl("trigger", "sweep", "--wait").stdout


def test_it_reads_standard_input(jobvisor: Shell) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "supervisor", "import", "-"],
        cwd=jobvisor.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        printed, _ = process.communicate("0 5 * * * make\n", 60)
    assert printed.startswith("# From standard input. ")
    assert '[jobs.make]\ncommand = "make"\ncron = "0 5 * * *"\n' in printed


def test_what_it_is_may_be_said(jobvisor: Shell) -> None:
    (jobvisor.folder / "x").write_text("web: make\n")
    assert "[jobs.web]" in jobvisor("import", "x", "--from", "procfile").stdout
    as_units = jobvisor("import", "x", "--from", "systemd")
    assert (as_units.returncode, as_units.stdout) == (1, "")
    assert jobvisor("import", "x", "--from", "upstart").returncode == 2


def test_several_units_become_one_manifest_in_which_they_wait_for_each_other(made: Program) -> None:
    units = {
        "db.service": '[Service]\nExecStart=/bin/sh -c "echo db; exec sleep 600"\n',
        "web.service": "[Unit]\nAfter=network.target db.service\nRequires=db.service\n[Service]\nExecStart=sleep 600\n",
        "sweep.service": "[Service]\nType=oneshot\nExecStart=/bin/echo swept\n",
        "sweep.timer": "[Timer]\nOnCalendar=daily\n",
    }
    for name, text in units.items():
        (made.folder / name).write_text(text)
    done = made.ctl("import", *sorted(units))
    assert done.stdout.startswith("# From db.service, sweep.service, sweep.timer, web.service. Read it, ")
    made.write(done.stdout)
    assert made.ctl("check").stdout == "jobs.toml: ok, 3 jobs\n"
    made.run()
    made.eventually_job("web", state="running")
    assert [each["value"] for each in made.json("show", "web")["settings"] if each["key"] == "after"] == [["db"]]
    assert made.ctl("trigger", "sweep", "--wait").stdout == "swept\nsweep: ok\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"once upon a time",
            "x: neither a crontab, a supervisord.conf, a Procfile nor a systemd .service or .timer; ",
        ),
        (b"", "say with --from what it is"),
        (b"\xff\xfe", "cannot read x: not UTF-8 text"),
        (None, "cannot read x: No such file or directory"),
    ],
)
def test_what_cannot_be_imported_is_said(content: bytes | None, said: str, jobvisor: Shell) -> None:
    if content is not None:
        (jobvisor.folder / "x").write_bytes(content)
    done = jobvisor("import", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
