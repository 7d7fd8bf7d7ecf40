import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import eventually
from program import program
from shell import Shell, canned_supervisor

WEB = """\
2026-11-24T12:00:00.000Z up
2026-11-24T12:00:02.500Z GET /
2026-11-24T12:00:04.000Z GET /users
"""
API = """\
2026-11-24T12:00:01.000Z ready
2026-11-24T12:00:03.000Z 500 broken
"""
STAMP = "2026-11-24T12:00:00.000Z"


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    """Give a folder with output and no supervisor."""
    shell = Shell(tmp_path)
    shell.write("[jobs.web]\ncommand = 'true'\n")
    logs = tmp_path / ".jobvisor" / "logs"
    logs.mkdir(parents=True)
    (logs / "web:2.log").write_text(WEB)
    (logs / "api.log").write_text(API)
    return shell


def test_output_is_merged_in_time_order_each_line_with_its_job(jobvisor: Shell) -> None:
    done = jobvisor("logs")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition("Z ")[2] for line in done.stdout.splitlines()] == [
        "web:2 | up",
        "api | ready",
        "web:2 | GET /",
        "api | 500 broken",
        "web:2 | GET /users",
    ]


def test_of_one_job_the_lines_are_as_they_stand_in_its_file(jobvisor: Shell) -> None:
    assert jobvisor("logs", "web:2").stdout == WEB


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["-n", "2"], ["500 broken", "GET /users"]),
        (["-n", "0"], []),
        (["--grep", "GET|500"], ["GET /", "500 broken", "GET /users"]),
        (["--grep", "GET", "-n1"], ["GET /users"]),
        (["--since", "2026-11-24T12:00:03Z"], ["500 broken", "GET /users"]),
        (["--since", "2026-11-24T12:00:03"], ["500 broken", "GET /users"]),
        (["a*"], ["ready", "500 broken"]),
    ],
    ids=" ".join,
)
def test_lines_are_chosen(jobvisor: Shell, arguments: list[str], texts: list[str]) -> None:
    done = jobvisor("logs", *arguments, "--json")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == texts


def test_json_is_one_object_a_line(jobvisor: Shell) -> None:
    assert json.loads(jobvisor("logs", "web:2", "-n", "1", "--json").stdout) == {
        "job": "web:2",
        "at": "2026-11-24T12:00:04.000Z",
        "stream": "out",
        "text": "GET /users",
    }


def test_twenty_lines_are_shown_and_all_since_a_time(jobvisor: Shell, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    stamps = [(now - timedelta(seconds=30 - n)).isoformat(timespec="milliseconds")[:23] for n in range(30)]
    (tmp_path / ".jobvisor" / "logs" / "new.log").write_text("".join(f"{stamp}Z line\n" for stamp in stamps))
    assert jobvisor("logs", "new").stdout.count("line") == 20
    assert jobvisor("logs", "new", "--since", "1h").stdout.count("line") == 30


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["wbe"], 4, 'no job "wbe"; did you mean "web"?'),
        (["--run", "41"], 4, "no run 41 is recorded"),
        (["--grep", "("], 2, '--grep "(" is not a regular expression'),
        (["--since", "yesterday"], 2, '--since "yesterday" is neither a time'),
        (["--run", "41", "web"], 4, "no run 41 is recorded"),
        (["-n", "-1"], 2, "-n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_shown_is_said(jobvisor: Shell, arguments: list[str], code: int, words: str) -> None:
    done = jobvisor("logs", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_job_of_the_manifest_that_has_said_nothing_yet_is_known(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.silent]\ncommand = "true"\n')
    done = jobvisor("logs", "silent")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_running_supervisor_knows_where_the_logs_lie(jobvisor: Shell, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "moved.log").write_text(f"{STAMP} over here\n")
    with canned_supervisor(tmp_path) as canned:
        canned.answers(ping={"result": {"log_dir": str(elsewhere), "history": str(tmp_path / "history.db")}})
        assert jobvisor("logs", "--grep", ".").stdout == f"{STAMP} over here\n"


@contextmanager
def followed(jobvisor: Shell, *arguments: str) -> Iterator[Path]:
    """Give the file that ``logs -f`` prints to, and end it by Ctrl-C."""
    path = jobvisor.folder / "followed.txt"
    with path.open("w") as file, jobvisor.start("logs", "-f", *arguments, stdout=file) as command:
        yield path
        command.send_signal(signal.SIGINT)
        _, stderr = command.communicate()
    assert (command.returncode, stderr) == (130, "")


def test_following_goes_on_where_the_last_lines_end(jobvisor: Shell, tmp_path: Path) -> None:
    with followed(jobvisor, "api", "-n", "1") as shown:
        eventually(lambda: "500 broken" in shown.read_text())
        with (tmp_path / ".jobvisor" / "logs" / "api.log").open("a") as log:
            log.write(f"{STAMP} well again\n")
        eventually(lambda: "well again" in shown.read_text())
    assert [line.partition("Z ")[2] for line in shown.read_text().splitlines()] == ["500 broken", "well again"]


def test_the_lines_of_one_run_are_those_from_its_start_to_its_end(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        app.write('[jobs.f]\ncommand = "echo begin $JOBVISOR_RUN_ID; echo end"\nshell = true\nevery = "200ms"\n')
        app.run()
        eventually(lambda: app.output("f").count("end") >= 5)
        ended = [row["run_id"] for row in app.json("history", "f") if row["outcome"] == "ok"]
        for run_id in ended[:3]:
            told = app.ctl("logs", "--run", str(run_id), "--json").stdout.splitlines()
            assert [json.loads(line)["text"] for line in told] == [f"begin {run_id}", "end"]


def test_a_run_of_one_of_several_instances_is_found_and_names_and_times_choose_among_its_lines(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        up = 'command = ["sh", "-c", "echo up $JOBVISOR_INSTANCE; exec sleep 1000"]\n'
        app.write(f"[jobs.web]\ninstances = 2\n{up}[jobs.one]\n{up}")
        app.run()
        rows = eventually(lambda: len(found := app.json("history")) == 3 and found)
        runs = {(row["job"], row["instance"]): str(row["run_id"]) for row in rows}
        for (name, instance), run_id in runs.items():
            label = name if name == "one" else f"{name}:{instance}"
            eventually(lambda label=label: "up" in app.output(label))
            for names in ([], [name], [f"{name}:{instance}"], ["*"]):
                done = app.ctl("logs", *names, "--run", run_id, "--since", "1h")
                assert (done.returncode, done.stdout.partition(" ")[2]) == (0, f"up {instance}\n"), names
            assert app.ctl("logs", "--run", run_id, "--since", "2100-01-01").stdout == ""
        done = app.ctl("logs", "one", "--run", runs["web", 1])
        assert (done.returncode, done.stdout, done.stderr) == (4, "", f"run {runs['web', 1]} is one of web:1\n")


def test_output_that_is_in_the_journal_is_pointed_to(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.far]\ncommand = "true"\nlog = "journal"\n[jobs.quiet]\ncommand = "true"\n')
    done = jobvisor("logs", "far", "quiet")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "far: its output is in the journal: journalctl JOBVISOR_JOB=far\n"
