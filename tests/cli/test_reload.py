import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, is_alive, pid_in, program

WEB = '[jobs.web]\ncommand = ["sleep", "1000"]\nsettle = "100ms"\n'
SLOW = '[jobs.slow]\ncommand = ["sh", "-c", "echo $$ > slow.pid; exec sleep 1000"]\nevery = "1h"\nrun_at_start = true\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_a_plan_tells_every_key_with_its_effect_and_changes_nothing(app: Program) -> None:
    app.write(WEB + SLOW + '[jobs.old]\ncommand = ["sleep", "1001"]\n')
    app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    app.eventually_job("old", state="running")
    app.write(
        "[supervisor]\nmax_running = 4\npreload = ['json']\n"
        + WEB.replace("100ms", "2s")
        + 'env = { TOKEN = "xyzzy" }\n'
        + SLOW.replace('"1h"', '"2h"')
        + '[jobs.new]\ncommand = ["sleep", "1002"]\n'
    )
    done = app.ctl("reload", "--plan")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "web: restarts",
        '  settle     "100ms"  ->  "2s"        at next run',
        '  env.TOKEN  -        ->  "(hidden)"  restarts',
        "slow: live",
        '  every  "1h"  ->  "2h"  live',
        "new: new, starts",
        "old: removed, stops",
        "[supervisor]",
        '  preload      []  ->  ["json"]  reload --code',
        "  max_running  -   ->  4         live",
    ]
    plan = app.json("reload", "--plan")
    assert plan["changes"][0]["fields"][0] == {
        "key": "settle",
        "before": "100ms",
        "after": "2s",
        "effect": "next run",
    }
    assert "xyzzy" not in json.dumps(plan)
    assert app.job("web")["pid"] == pid
    assert {job["name"] for job in app.json("status")["jobs"]} == {"web", "slow", "old"}


def test_a_plan_of_a_bad_manifest_is_1_with_every_problem(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.write(WEB + "evry = 1\nnotthere = 2\n")
    done = app.ctl("reload", "--plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 3
    assert app.json("reload", "--plan")["ok"] is False


def test_a_plan_of_what_runs_already_says_so(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.write("# moved\n" + WEB)
    assert app.ctl("reload", "--plan").stdout == "nothing has changed\n"


def test_a_changed_scheduled_run_is_killed_only_with_now(app: Program) -> None:
    app.write(SLOW)
    app.run()
    pid = pid_in(app.folder / "slow.pid")
    app.write(SLOW + 'env = { A = "1" }\n')
    done = app.ctl("reload")
    assert (done.returncode, done.stdout) == (0, "slow: at next run\n")
    assert is_alive(pid)
    app.write(SLOW + 'env = { A = "2" }\n')
    done = app.ctl("reload", "--now")
    assert (done.returncode, done.stdout) == (0, "slow: at next run\n")
    assert not is_alive(pid)
    assert app.job("slow")["state"] == "waiting"
    assert app.job("slow")["last"]["outcome"] == "stopped"


def test_reload_waits_for_every_instance_that_it_starts(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.eventually_job("web", state="running")
    app.write(WEB + "instances = 3\n")
    assert app.ctl("reload").stdout == "web: live\n"
    assert [job["state"] for job in app.json("status")["jobs"]] == ["running"] * 3
    app.write(WEB.replace('["sleep", "1000"]', "\"sh -c 'echo bad news; exit 3'\"") + "instances = 3\n")
    done = app.ctl("reload")
    assert done.returncode == 1
    assert done.stderr.count("did not come up: exit 3") == 3
    assert "  | bad news" in done.stderr


def test_a_new_job_whose_target_is_missing_has_not_come_up(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.write(WEB + '[jobs.nope]\nrun = "jobs.nope:run"\nevery = "1h"\n')
    done = app.ctl("reload")
    assert (done.returncode, done.stdout) == (1, "nope: added\n")
    assert "create that file" in done.stderr


def test_a_disabled_and_an_enabled_job_are_said_so(app: Program) -> None:
    app.write(WEB)
    app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    app.write(WEB + "enabled = false\n")
    assert app.ctl("reload").stdout == "web: disabled\n"
    eventually(lambda: not is_alive(pid))
    app.eventually_job("web", state="disabled")
    app.write(WEB)
    assert app.ctl("reload").stdout == "web: enabled\n"
    assert app.job("web")["state"] == "running"


def test_hup_reloads(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.write(WEB + '[jobs.new]\ncommand = ["sleep", "1002"]\n')
    os.kill(app.pid, signal.SIGHUP)
    app.eventually_job("web", state="running")
    eventually(lambda: "reload: new added" in app.log)
