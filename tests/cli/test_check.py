import json
from pathlib import Path

import pytest
from samples import closed, write
from shell import Shell


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


FINE = '[jobs.a]\nrun = "jobs.a:run"\n[jobs.b]\ncommand = ["sleep", "1"]\n'


def test_a_good_manifest_is_said_with_the_number_of_its_jobs(jobvisor: Shell) -> None:
    jobvisor.write(FINE, a="def run(): ...")
    done = jobvisor("check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "jobs.toml: ok, 2 jobs\n", "")
    jobvisor.write("[jobs.b]\ncommand = 'true'\n")
    assert jobvisor("check").stdout == "jobs.toml: ok, 1 job\n"


def test_every_problem_of_the_manifest_is_told_at_once(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.a]\nevry = "5m"\ncommand = "x"\n[jobs.b]\nrun = "nothing"\n')
    done = jobvisor("check")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["jobs.toml:2", "jobs.toml:5"]


def test_every_target_that_cannot_be_had_is_told_in_manifest_order(jobvisor: Shell) -> None:
    jobvisor.write(
        "".join(f'[jobs.{name}]\nrun = "jobs.{name}:run"\n' for name in ("a", "missing", "empty", "broken", "leaves"))
        + '[jobs.dies]\nrun = "jobs.dies:run"\n[jobs.noprog]\ncommand = ["no-such-program"]\n',
        a="print('loud at import')\ndef run(): ...",
        empty="",
        broken="import nothing_of_this_name",
        leaves="import sys\nsys.exit('I leave')",
        dies="import os, sys\nprint('my last words', file=sys.stderr, flush=True)\nos._exit(3)",
    )
    done = jobvisor("check")
    assert (done.returncode, done.stdout) == (1, "")
    problems = done.stderr.splitlines()
    assert [problem.split('"')[1] for problem in problems] == [
        "missing", "empty", "broken", "leaves", "dies", "noprog",
    ]  # fmt: skip
    assert "create that file with a function" in problems[0]
    assert 'has no "run"' in problems[1]
    assert "ModuleNotFoundError" in problems[2]
    assert "SystemExit" in problems[3]
    assert problems[4].endswith('importing "jobs.dies:run" ended the process (exit 3): my last words')
    assert 'no "no-such-program" on PATH' in problems[5]


def test_a_job_is_tried_in_the_environment_that_it_will_have(jobvisor: Shell) -> None:
    jobvisor.write(
        '[jobs.a]\nrun = "jobs.a:run"\nenv = { KEY = "x" }\n', a="import os\nos.environ['KEY']\ndef run(): ..."
    )
    assert jobvisor("check").returncode == 0


@pytest.mark.parametrize(("command", "code"), [(FINE, 0), ('[jobs.a]\nrun = "jobs.nope:run"\n', 1), ("[jobs.a]\n", 1)])
def test_json_alone_is_on_stdout(jobvisor: Shell, command: str, code: int) -> None:
    jobvisor.write(command, a="def run(): ...")
    done = jobvisor("check", "--json")
    assert (done.returncode, done.stderr) == (code, "")
    told = json.loads(done.stdout)
    assert told["ok"] is (code == 0)
    assert bool(told["problems"]) is (code != 0)
    assert told["warnings"] == []


def test_a_manifest_that_is_not_there_is_1(jobvisor: Shell) -> None:
    done = jobvisor("-f", "other.toml", "check")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{jobvisor.folder}/other.toml" in done.stderr
    assert "No such file or directory" in done.stderr


def test_a_user_or_group_that_is_not_there_is_found(jobvisor: Shell) -> None:
    jobvisor.write(
        '[jobs.a]\ncommand = "true"\nuser = "no-such-user"\n'
        '[jobs.b]\ncommand = "true"\ngroup_id = "no-such-group"\n'
        '[jobs.c]\ncommand = "true"\nuser = 0\n'
    )
    done = jobvisor("check")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'job "a" (jobs.toml:1): there is no user "no-such-user" on this machine; create it, or correct `user`',
        'job "b" (jobs.toml:4): there is no group "no-such-group" on this machine; create it, or correct `group_id`',
    ]


ODD = """
[jobs.seven]
command = "true"
cron = "*/7 * * * *"
timeout = "1h"
[jobs.past]
command = "true"
at = 2020-01-01T00:00:00Z
[jobs.off]
command = "true"
cron = "*/7 * * * *"
enabled = false
"""


def test_what_may_not_be_meant_is_a_warning_and_no_failure(jobvisor: Shell) -> None:
    jobvisor.write(ODD)
    done = jobvisor("check")
    assert (done.returncode, done.stdout) == (0, "jobs.toml: ok, 3 jobs\n")
    warnings = done.stderr.splitlines()
    assert [line.rpartition(" jobs.")[0] for line in warnings] == [
        "warning: jobs.toml:2:",
        "warning: jobs.toml:2:",
        "warning: jobs.toml:6:",
    ]
    told = json.loads(jobvisor("check", "--json").stdout)
    assert (told["ok"], [f"warning: {warning}" for warning in told["warnings"]]) == (True, warnings)


def test_run_lengths_are_those_of_the_record_of_runs(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.feed]\ncommand = "true"\nevery = "1s"\n')
    (jobvisor.folder / ".jobvisor").mkdir()
    path = jobvisor.folder / ".jobvisor" / "history.db"
    write(path, closed(1))
    done = jobvisor("check")
    assert done.returncode == 0
    assert "every: runs take 2s (median), due times are 1s apart" in done.stderr
    path.write_bytes(b"no database at all, " * 400)
    path.with_name("history.db-wal").unlink(missing_ok=True)
    done = jobvisor("check")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: how long runs take is unknown: cannot read ")


def test_a_notifier_whose_program_is_not_there_is_a_warning(jobvisor: Shell) -> None:
    jobvisor.write(
        '[jobs.b]\ncommand = "true"\n[notify.mail]\ncommand = ["no-such-mail", "ada"]\n'
        '[notify.own]\ncommand = "./tell.sh"\n[notify.fine]\ncommand = "cat"\n[notify.hook]\nwebhook = "http://localhost/"\n'
    )
    done = jobvisor("check")
    assert (done.returncode, done.stdout) == (0, "jobs.toml: ok, 1 job\n")
    told = [line for line in done.stderr.splitlines() if "nobody will be told" in line]
    assert [line.partition(".command")[0] for line in told] == [
        "warning: jobs.toml:3: notify.mail",
        "warning: jobs.toml:5: notify.own",
    ]
    assert told[0].endswith('nobody will be told: no "no-such-mail" on PATH; install it, or correct `command`')
    assert f"{jobvisor.folder}/tell.sh is missing or not executable" in told[1]
