from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shell import Canned, Shell, canned_supervisor

FINE = {"name": "web", "ok": True, "message": "running, pid 7", "output": []}
BAD = {"name": "db", "ok": False, "message": "did not come up: exit 3", "output": ["no disk", "giving up"]}


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def canned(tmp_path: Path) -> Iterator[Canned]:
    with canned_supervisor(tmp_path) as made:
        yield made


@pytest.mark.parametrize("order", ["start", "stop", "restart", "pause", "resume"])
def test_an_order_says_a_line_for_each_job(jobvisor: Shell, canned: Canned, order: str) -> None:
    canned.answers(**{order: {"result": {"jobs": [FINE, FINE | {"name": "api:2", "message": "already running"}]}}})
    done = jobvisor(order, "web", "api:*")
    assert canned.requests == [[order, {"names": ["web", "api:*"], "wait": True}]]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "web: running, pid 7\napi:2: already running\n"


@pytest.mark.parametrize("order", ["start", "stop", "restart"])
def test_one_that_did_not_do_as_asked_is_1_with_its_last_lines(jobvisor: Shell, canned: Canned, order: str) -> None:
    canned.answers(**{order: {"result": {"jobs": [FINE, BAD]}}})
    done = jobvisor(order, "*")
    assert done.returncode == 1
    assert done.stdout == "web: running, pid 7\n"
    assert done.stderr == "db: did not come up: exit 3\n  | no disk\n  | giving up\n"


@pytest.mark.parametrize("order", ["start", "stop", "restart"])
def test_no_wait_is_told_to_the_supervisor(jobvisor: Shell, canned: Canned, order: str) -> None:
    canned.answers(**{order: {"result": {"jobs": [FINE | {"message": "asked"}]}}})
    assert jobvisor(order, "web", "--no-wait").stdout == "web: asked\n"
    assert canned.requests == [[order, {"names": ["web"], "wait": False}]]


@pytest.mark.parametrize("arguments", [["start", "wbe"], ["trigger", "wbe"]])
def test_an_unknown_job_is_4(jobvisor: Shell, canned: Canned, arguments: list[str]) -> None:
    refusal = {"error": [4, 'no job "wbe"; did you mean "web"?']}
    canned.answers(start=refusal, trigger=refusal)
    done = jobvisor(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (4, "", 'no job "wbe"; did you mean "web"?\n')


def test_trigger_says_which_run_it_is(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(trigger={"result": {"ok": True, "message": "run 41", "code": 0, "output": []}})
    done = jobvisor("trigger", "batch")
    assert canned.requests == [["trigger", {"name": "batch", "wait": False}]]
    assert (done.returncode, done.stdout) == (0, "batch: run 41\n")


def test_trigger_that_waits_exits_with_the_runs_code(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(trigger={"result": {"ok": False, "message": "exit 4", "code": 4, "output": ["done", "or not"]}})
    done = jobvisor("trigger", "batch", "--wait")
    assert canned.requests == [["trigger", {"name": "batch", "wait": True}]]
    assert (done.returncode, done.stdout, done.stderr) == (4, "done\nor not\n", "batch: exit 4\n")


def reloaded(*changes: tuple[str, str], problems: tuple[str, ...] = (), jobs: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {
        "result": {
            "ok": not problems and all(job["ok"] for job in jobs),
            "changes": [{"name": name, "change": change} for name, change in changes],
            "settings": [],
            "code": [],
            "problems": list(problems),
            "jobs": list(jobs),
        }
    }


def test_reload_says_what_has_changed_and_no_more(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(reload=reloaded(("web", "restarted"), ("api", "unchanged"), ("old", "removed"), jobs=(FINE,)))
    done = jobvisor("reload")
    assert (done.returncode, done.stdout, done.stderr) == (0, "web: restarted\nold: removed\n", "")
    canned.answers(reload=reloaded(("api", "unchanged")))
    assert jobvisor("reload").stdout == "nothing has changed\n"


def test_reload_of_a_bad_manifest_is_1_with_every_problem(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(reload=reloaded(problems=("jobs.toml:2: jobs.a.evry: unknown key", "jobs.toml:5: jobs.b: bad")))
    done = jobvisor("reload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "jobs.toml:2: jobs.a.evry: unknown key",
        "jobs.toml:5: jobs.b: bad",
        "nothing was changed",
    ]


def test_reload_is_1_where_a_job_did_not_come_up(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(reload=reloaded(("db", "added"), jobs=(FINE, BAD)))
    done = jobvisor("reload")
    assert (done.returncode, done.stdout) == (1, "db: added\n")
    assert done.stderr.startswith("db: did not come up: exit 3\n  | no disk\n")


def test_shutdown_returns_when_the_supervisors_process_has_ended(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(shutdown={"result": {"pid": 4321}})
    done = jobvisor("shutdown")
    assert canned.process.poll() == 0
    assert (done.returncode, done.stdout) == (0, "ended (pid 4321)\n")


def test_a_supervisor_that_dies_before_it_answers_is_1(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(stop="never")
    with jobvisor.start("stop", "web") as command:
        while not canned.requests:
            assert command.poll() is None
        canned.end()
        stdout, stderr = command.communicate()
    assert (command.returncode, stdout) == (1, "")
    assert stderr.startswith("the supervisor ended before it answered")
