import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import children, eventually, is_alive
from program import Program, pid_in, program

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


def test_what_an_editor_leaves_between_two_writes_removes_no_job(app: Program) -> None:
    app.write(WEB)
    app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    (app.folder / "jobs.toml").write_text("")
    said = (
        "jobs.toml:1: it is empty, and jobs were in it (web); was it saved whole? "
        "A file without jobs says so by an empty [jobs]"
    )
    for order in (["reload", "--plan"], ["reload"], ["reload", "--now", "--code"]):
        done = app.ctl(*order)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines() == [said, "nothing was changed"]
    os.kill(app.pid, signal.SIGHUP)
    eventually(lambda: "it is empty, and jobs were in it" in app.log)
    assert app.job("web")["pid"] == pid
    app.write(WEB)
    assert app.ctl("reload").stdout == "nothing has changed\n"
    app.write("[jobs]\n")
    assert app.ctl("reload").stdout == "web: removed\n"
    eventually(lambda: not is_alive(pid))


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


def test_hup_tells_of_settings_groups_and_notifiers_too(app: Program) -> None:
    app.write(WEB + 'group = "g"\n[groups.g]\n')
    app.run()
    edited = 'group = "g"\n[groups.g]\nstrategy = "one_for_all"\n[supervisor]\nmax_running = 3\nlog.level = "DEBUG"\n'
    app.write(f'{WEB}{edited}[notify.ops]\ncommand = "cat"\n')
    os.kill(app.pid, signal.SIGHUP)
    eventually(lambda: "reload: notify.ops.command live" in app.log)
    assert "reload: groups.g.strategy live" in app.log
    assert "reload: max_running live" in app.log
    assert "[supervisor] log.level was edited; it takes effect at: next start of the supervisor" in app.log


def test_an_edit_that_waits_for_the_next_start_stays_in_the_plan_until_then(app: Program) -> None:
    app.write(WEB)
    app.run()
    app.write(f'[supervisor]\nlog_dir = "elsewhere"\n{WEB}')
    waiting = "[supervisor] log_dir: next start of the supervisor\n"
    assert app.ctl("reload").stdout == waiting
    assert app.ctl("reload").stdout == waiting
    assert not (app.folder / "elsewhere").exists()
    app.write(WEB)
    assert app.ctl("reload").stdout == "nothing has changed\n"


COUNTER = """
from supervisor import Worker
import jobs.shared

class Counter(Worker):
    def tick(self):
        print("says", jobs.shared.WORD)
"""
LASTING = """
import time
import jobs.shared

def run():
    print("says", jobs.shared.WORD)
    time.sleep(1000)
"""
LONG_RUN = """
import time, pathlib
import jobs.shared

def run():
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    print("says", jobs.shared.WORD)
"""
CODED = """
[supervisor]
preload = ["jobs.shared"]
[jobs.counter]
run = "jobs.counter:Counter"
every = "100ms"
[jobs.lasting]
run = "jobs.lasting:run"
settle = "100ms"
[jobs.batch]
run = "jobs.batch:run"
every = "1h"
run_at_start = true
[jobs.other]
command = ["sleep", "1000"]
"""


@pytest.fixture
def coded(app: Program) -> Program:
    """A program whose jobs have all said their word, or are about to."""
    app.write(CODED, shared='WORD = "old"\n', counter=COUNTER, lasting=LASTING, batch=LONG_RUN)
    app.run()
    eventually(lambda: "says old" in app.output("counter") and "says old" in app.output("lasting"))
    app.eventually_job("batch", state="running")
    app.eventually_job("other", state="running", health="ok")
    return app


def fork_servers(app: Program) -> list[int]:
    return [
        pid
        for pid in children(app.pid)
        if is_alive(pid) and b"supervisor.engine.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]


def test_code_is_loaded_afresh_and_a_run_under_way_ends_on_the_old(coded: Program) -> None:
    app = coded
    (old,) = fork_servers(app)
    batch, other = app.job("batch"), app.job("other")
    app.write(CODED, shared='WORD = "brand new"\n')
    done = app.ctl("reload", "--code")
    assert (done.returncode, done.stderr) == (0, "")
    run_id = app.json("history", "batch")[0]["run_id"]
    assert done.stdout.splitlines() == [
        "counter: restarted with the new code",
        "lasting: restarted with the new code",
        f"batch: run {run_id} ends with the old code",
        "other: not restarted: a command loads its own code; use `jobvisor restart other`",
    ]
    eventually(lambda: "says brand new" in app.output("counter") and "says brand new" in app.output("lasting"))
    assert (app.job("batch")["pid"], app.job("other")["pid"]) == (batch["pid"], other["pid"])
    assert old in fork_servers(app)
    (app.folder / "go").touch()
    eventually(lambda: "says old" in app.output("batch"))
    app.ctl("restart", "other")
    eventually(lambda: old not in fork_servers(app))
    app.ctl("trigger", "batch", "--wait")
    assert "says brand new" in app.output("batch")
    assert len(fork_servers(app)) == 1


def test_code_that_no_process_has_loaded_is_said_to_be_loaded_afresh(app: Program) -> None:
    app.write('[jobs.batch]\nrun = "jobs.batch:run"\nevery = "1h"\n', batch="def run():\n    print('old')\n")
    app.run()
    app.write((app.folder / "jobs.toml").read_text(), batch="def run():\n    print('brand new')\n")
    done = app.ctl("reload", "--code")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the code is loaded afresh; no job runs that it would touch\n"
    assert app.ctl("trigger", "batch", "--wait").stdout == "brand new\nbatch: ok\n"


def test_code_in_which_a_target_is_lost_changes_nothing(coded: Program) -> None:
    app = coded
    before = fork_servers(app)
    pids = {name: app.job(name)["pid"] for name in ("counter", "lasting", "batch")}
    app.write(CODED, lasting="this is no Python\n")
    done = app.ctl("reload", "--code")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SyntaxError" in done.stderr
    assert done.stderr.splitlines()[-1] == "nothing was changed"
    assert {name: app.job(name)["pid"] for name in pids} == pids
    eventually(lambda: fork_servers(app) == before)


def test_an_old_fork_server_that_dies_takes_only_its_own_runs(coded: Program) -> None:
    app = coded
    (old,) = fork_servers(app)
    app.write(CODED, shared='WORD = "brand new"\n')
    assert app.ctl("reload", "--code").returncode == 0
    lasting, other = app.job("lasting")["pid"], app.job("other")["pid"]
    os.kill(old, signal.SIGKILL)
    again = eventually(lambda: (pid := app.job("other")["pid"]) not in {None, other} and pid)
    assert is_alive(again)
    assert app.job("lasting")["pid"] == lasting
    assert app.job("batch")["last"]["outcome"] == "lost"
    assert len(fork_servers(app)) == 1


def test_shutdown_ends_old_and_new(coded: Program) -> None:
    app = coded
    app.write(CODED, shared='WORD = "brand new"\n')
    assert app.ctl("reload", "--code").returncode == 0
    assert len(fork_servers(app)) == 2
    pids = [job["pid"] for job in app.json("status")["jobs"]]
    assert app.ctl("shutdown").returncode == 0
    assert not [pid for pid in pids if pid and is_alive(pid)]
    assert app.supervisor is not None
    assert app.supervisor.wait(10) == 0
