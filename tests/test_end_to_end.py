"""The program as people use it: real processes, killed for real."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import descendants, eventually, is_alive
from program import JOBVISOR, Program, pid_in, program

SLEEPER = """
import time
def run():
    print("up", flush=True)
    time.sleep(1000)
"""
STUBBORN = """
import signal, time
def run():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stubborn")
    time.sleep(1000)
"""
COUNTER = """
from supervisor import Worker
class Counter(Worker):
    def __init__(self):
        self.count = 0
    def tick(self):
        self.count += 1
        print(f"tick {self.count}")
    def stop(self, reason):
        print(f"stopped: {reason}")
"""
WRITER = """
import time
def run():
    number = 0
    while True:
        number += 1
        print(f"line {number}")
        time.sleep(0.002)
"""
FLOOD = """
import sys
def run():
    block = ("x" * 99 + "\\n") * 10_000
    while True:
        sys.stdout.write(block)
"""
WHO = """
import time
from supervisor import job
def run():
    print("I am", job.instance)
    time.sleep(1000)
"""
ONE = '[jobs.web]\nrun = "jobs.sleeper:run"\nbackoff = { initial = "50ms", jitter = 0 }\nsettle = "100ms"\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def test_a_killed_job_is_started_again(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    old = app.eventually_job("web", state="running")["pid"]
    os.kill(old, signal.SIGKILL)
    new = eventually(lambda: (job := app.job("web"))["state"] == "running" and job["pid"] != old and job)
    assert (new["runs"], new["failures"], new["restarts"]) == (2, 1, 1)
    assert new["last"]["outcome"] == "killed"
    assert new["last"]["signal"] == "SIGKILL"
    eventually(lambda: [row["outcome"] for row in app.json("history", "web")] == [None, "killed"])


def test_status_exits_0_when_all_is_well_and_3_when_not(app: Program) -> None:
    manifest = ONE + '[jobs.bad]\ncommand = ["false"]\nbackoff = { initial = "20s" }\n'
    app.write(manifest, sleeper=SLEEPER)
    app.run()
    app.eventually_job("bad", state="backoff")
    assert app.ctl("status", "web").returncode == 0
    bad = app.ctl("status")
    assert bad.returncode == 3
    assert "failing: exit 1" in bad.stdout
    assert app.ctl("status", "nobody").returncode == 4


def test_no_supervisor_is_4_and_says_what_to_do(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    done = app.ctl("status")
    assert done.returncode == 4
    assert "jobvisor run" in done.stderr
    assert done.stdout == ""


def test_a_second_run_on_the_same_state_is_refused(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    second = app.ctl("run")
    assert second.returncode == 1
    assert f"pid {app.pid}" in second.stderr
    assert app.job("web")["state"] == "running"


def test_a_bad_manifest_is_78_with_every_problem(app: Program) -> None:
    app.write('[jobs.a]\nevry = "5m"\ncommand = "x"\n[jobs.b]\nrun = "nothing"\n')
    done = app.ctl("run")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        'jobs.toml:2: jobs.a.evry: unknown key; did you mean "every"?',
        'jobs.toml:5: jobs.b.run: found "nothing"; expected "package.module:name", a function or a Worker class',
    ]


def test_stop_holds_over_a_restart_of_the_supervisor(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    assert app.ctl("stop", "web").stdout == "web: stopped\n"
    assert app.ctl("stop", "web").stdout == "web: already stopped\n"
    assert app.ctl("shutdown").returncode == 0
    app.run()
    assert app.job("web")["state"] == "stopped"
    assert app.ctl("start", "web").returncode == 0
    assert app.job("web")["state"] == "running"


def test_restart_gives_a_new_process(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    old = app.eventually_job("web", state="running")["pid"]
    done = app.ctl("restart", "web")
    assert done.returncode == 0
    new = app.job("web")
    assert new["pid"] != old
    assert done.stdout == f"web: running, pid {new['pid']}\n"
    assert new["restarts"] == 0


def test_a_start_that_does_not_come_up_is_1_with_the_last_lines(app: Program) -> None:
    app.write(
        '[jobs.bad]\ncommand = "echo no database; exit 3"\nshell = true\nenabled = true\nbackoff = {initial = "9s"}\n'
    )
    app.run()
    app.eventually_job("bad", state="backoff")
    done = app.ctl("start", "bad")
    assert done.returncode == 1
    assert "did not come up: exit 3" in done.stderr
    assert "| no database" in done.stderr


def test_a_job_that_ignores_term_is_killed_after_its_stop_timeout(app: Program) -> None:
    app.write('[jobs.web]\nrun = "jobs.stubborn:run"\nstop_timeout = "300ms"\n', stubborn=STUBBORN)
    app.run()
    eventually(lambda: "stubborn" in app.output("web"))
    pid = app.job("web")["pid"]
    assert app.ctl("stop", "web").returncode == 0
    assert not is_alive(pid)


def test_nothing_of_a_job_outlives_its_stop(app: Program, tmp_path: Path) -> None:
    script = (
        f"sleep 1000 & echo $! > {tmp_path}/child; setsid sleep 1001 & echo $! > {tmp_path}/escaped; "
        f"(setsid sh -c 'sleep 1002 & echo $! > {tmp_path}/orphan' &) ; wait"
    )
    app.write(f"[jobs.tree]\ncommand = '''{script}'''\nshell = true\n")
    app.run()
    pids = [pid_in(tmp_path / name) for name in ("child", "escaped", "orphan")]
    assert all(map(is_alive, pids))
    assert app.ctl("stop", "tree").returncode == 0
    assert not any(map(is_alive, pids))


def test_a_killed_supervisor_leaves_no_job_and_no_line_behind(app: Program, tmp_path: Path) -> None:
    app.write(
        f'[jobs.w]\nrun = "jobs.writer:run"\n'
        f'[jobs.c]\ncommand = "echo $$ > {tmp_path}/pid; sleep 1000"\nshell = true\n',
        writer=WRITER,
    )
    app.run()
    eventually(lambda: "line 50\n" in app.output("w"))
    family = descendants(app.pid)
    pid = pid_in(tmp_path / "pid")
    os.kill(app.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, family)))
    assert not is_alive(pid)
    numbers = [int(line.split()[2]) for line in app.output("w").splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_stopped_fork_server_wakes_when_its_supervisor_is_killed(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    app.eventually_job("web", state="running")
    family = descendants(app.pid)
    os.kill(app.part("engine.forkserver"), signal.SIGSTOP)
    os.kill(app.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, family)))


def test_the_next_run_after_a_crash_says_that_the_run_was_lost(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    app.eventually_job("web", state="running")
    family = descendants(app.pid)
    os.kill(app.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, family)))
    app.run()
    app.eventually_job("web", state="running", health="ok")
    eventually(lambda: [row["outcome"] for row in app.json("history")] == [None, "lost"])


def test_a_killed_fork_server_is_replaced_and_its_jobs_with_it_uncharged(app: Program) -> None:
    app.write(ONE + '[jobs.other]\ncommand = ["sleep", "1000"]\n', sleeper=SLEEPER)
    app.run()
    old = app.eventually_job("web", state="running")["pid"]
    app.eventually_job("other", state="running")
    os.kill(app.part("engine.forkserver"), signal.SIGKILL)
    new = eventually(lambda: (job := app.job("web"))["state"] == "running" and job["pid"] != old and job)
    assert new["restarts"] == 0
    assert new["last"]["outcome"] == "lost"
    app.eventually_job("other", state="running")
    assert not is_alive(old)
    again = app.job("other")["pid"]
    os.kill(app.part("engine.forkserver"), signal.SIGKILL)
    eventually(lambda: (job := app.job("other"))["state"] == "running" and job["pid"] != again)


def test_a_killed_log_process_is_replaced_and_no_job_notices(app: Program) -> None:
    app.write('[jobs.w]\nrun = "jobs.writer:run"\n', writer=WRITER)
    app.run()
    eventually(lambda: "line 20\n" in app.output("w"))
    pid = app.job("w")["pid"]
    os.kill(app.part("logs.process"), signal.SIGKILL)
    size = len(app.output("w"))
    eventually(lambda: len(app.output("w")) > size + 1000)
    assert app.job("w")["pid"] == pid


def test_the_last_line_before_a_kill_is_in_the_log(app: Program) -> None:
    app.write(
        '[jobs.w]\nrun = "jobs.last:run"\nbackoff = {initial = "30s"}\n',
        last="import os\ndef run():\n    print('last words')\n    os.kill(os.getpid(), 9)\n",
    )
    app.run()
    app.eventually_job("w", state="backoff")
    eventually(lambda: "last words" in app.output("w"))


def test_a_flood_of_one_job_does_not_delay_anothers_restart(app: Program) -> None:
    app.write(
        ONE + '[jobs.flood]\nrun = "jobs.flood:run"\nlog = { max_size = "4M", keep = 1 }\n',
        sleeper=SLEEPER,
        flood=FLOOD,
    )
    app.run()
    rotated = app.folder / ".jobvisor" / "logs" / "flood.log.1"
    eventually(rotated.exists)
    old = app.eventually_job("web", state="running")["pid"]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: (job := app.job("web"))["state"] == "running" and job["pid"] != old)
    assert app.job("flood")["state"] == "running"


def test_a_job_that_closes_its_stdout_is_still_supervised(app: Program) -> None:
    closer = "import os, time\ndef run():\n    os.close(1); os.close(2)\n    time.sleep(1000)\n"
    app.write('[jobs.quiet]\nrun = "jobs.closer:run"\nbackoff = { initial = "50ms" }\n', closer=closer)
    app.run()
    old = app.eventually_job("quiet", state="running")["pid"]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: (job := app.job("quiet"))["state"] == "running" and job["pid"] != old)


def test_a_worker_keeps_its_state_between_ticks_and_is_told_of_its_stop(app: Program) -> None:
    app.write('[jobs.counter]\nrun = "jobs.counter:Counter"\nevery = "100ms"\n', counter=COUNTER)
    app.run()
    eventually(lambda: "tick 3\n" in app.output("counter"))
    pid = app.job("counter")["pid"]
    assert app.ctl("stop", "counter").returncode == 0
    assert "stopped: stop\n" in app.output("counter")
    assert not is_alive(pid)


def test_a_function_gets_a_fresh_process_for_each_run(app: Program) -> None:
    app.write(
        '[jobs.f]\nrun = "jobs.f:run"\nevery = "100ms"\n', f="import os\ndef run():\n    print('pid', os.getpid())\n"
    )
    app.run()
    eventually(lambda: app.output("f").count("pid") >= 3)
    pids = [line.split()[-1] for line in app.output("f").splitlines()]
    assert len(set(pids)) == len(pids)


def test_a_missing_target_says_what_to_create_and_leaves_the_others_alone(app: Program) -> None:
    app.write(ONE + '[jobs.nope]\nrun = "jobs.nope:Poller"\nevery = "1h"\n', sleeper=SLEEPER)
    app.run()
    job = app.eventually_job("nope", health="failing")
    assert job["reason"] == (
        f'job "nope" (jobs.toml:5): cannot import "jobs.nope": no module jobs/nope.py under {app.folder}; '
        'create that file with a Worker class named "Poller"'
    )
    assert job["reason"] in app.log
    app.eventually_job("web", state="running", health="ok")
    check = app.ctl("check")
    assert check.returncode == 1
    assert check.stderr.strip() == job["reason"]


def test_reload_starts_new_stops_removed_and_restarts_only_changed_jobs(app: Program) -> None:
    app.write(
        ONE + '[jobs.old]\ncommand = ["sleep", "1000"]\n[jobs.same]\ncommand = ["sleep", "1001"]\n', sleeper=SLEEPER
    )
    app.run()
    for name in ("web", "old", "same"):
        app.eventually_job(name, state="running")
    web, old, same = (app.job(name)["pid"] for name in ("web", "old", "same"))
    app.write(
        ONE.replace('"100ms"', '"200ms"') + '[jobs.new]\ncommand = ["sleep", "1002"]\nsettle = "100ms"\n'
        '[jobs.same]\ncommand = ["sleep", "1001"]\nenv = { A = "1" }\nsettle = "100ms"\n'
    )
    done = app.ctl("reload")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["web: at next run", "new: added", "same: restarted", "old: removed"]
    assert app.job("web")["pid"] == web
    assert app.job("same")["pid"] != same
    assert app.job("new")["state"] == "running"
    eventually(lambda: not is_alive(old))
    assert {job["name"] for job in app.json("status")["jobs"]} == {"web", "new", "same"}


def test_a_reload_of_a_bad_manifest_changes_nothing(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    app.write(ONE.replace("run =", "rnu ="))
    done = app.ctl("reload")
    assert done.returncode == 1
    assert "jobs.toml:2: jobs.web.rnu: unknown key" in done.stderr
    assert "nothing was changed" in done.stderr
    assert app.job("web")["pid"] == pid
    assert app.supervisor is not None
    app.supervisor.send_signal(signal.SIGHUP)
    eventually(lambda: "jobs.web.rnu: unknown key" in app.log)
    assert app.job("web")["pid"] == pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_jobs_and_exits_0(app: Program, number: int) -> None:
    app.write(ONE, sleeper=SLEEPER)
    supervisor = app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    supervisor.send_signal(number)
    assert supervisor.wait(60) == 0
    assert not is_alive(pid)
    assert not (app.folder / ".jobvisor" / "control.sock").exists()


def test_a_second_interrupt_kills_at_once(app: Program) -> None:
    app.write('[jobs.web]\nrun = "jobs.stubborn:run"\nstop_timeout = "none"\n', stubborn=STUBBORN)
    supervisor = app.run()
    eventually(lambda: "stubborn" in app.output("web"))
    supervisor.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in app.log)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(60) == 0


def test_an_essential_job_that_gives_up_ends_the_supervisor_with_1(app: Program) -> None:
    app.write('[jobs.key]\ncommand = ["false"]\nbackoff = "none"\nmax_restarts = 2\non_give_up = "escalate"\n')
    (app.folder / "run.log").touch()
    done = app.ctl("run")
    assert done.returncode == 1
    assert "gave up after 2 restarts" in done.stderr


def test_garbage_on_the_socket_disturbs_nobody(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    path = str(app.folder / ".jobvisor" / "control.sock")
    with (
        socket.socket(socket.AF_UNIX) as garbage,
        socket.socket(socket.AF_UNIX) as huge,
        socket.socket(socket.AF_UNIX) as half,
    ):
        for client in (garbage, huge, half):
            client.connect(path)
        garbage.sendall(b"\x00\xff not json\n[1, 2]\n")
        assert b"not JSON: 'utf-8' codec can't decode" in garbage.recv(4096)
        half.sendall(b'{"id": 1, "meth')
        sent = 0
        try:
            while sent < 10_000_000:
                sent += huge.send(b"x" * 65536)
        except OSError:
            pass
        app.eventually_job("web", state="running")


def test_run_shows_the_jobs_lines_behind_their_names(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run("--output")
    eventually(lambda: "web | up\n" in app.log)


def test_instances_are_processes_of_their_own(app: Program) -> None:
    app.write(
        ONE + "instances = 3\n",
        sleeper=WHO,
    )
    app.run()
    eventually(lambda: [job["state"] for job in app.json("status")["jobs"]] == ["running"] * 3)
    assert [job["instance"] for job in app.json("status")["jobs"]] == [1, 2, 3]
    eventually(lambda: "I am 2" in app.output("web:2"))
    assert app.ctl("stop", "web:2").stdout == "web:2: stopped\n"
    assert [job["state"] for job in app.json("status")["jobs"]] == ["running", "stopped", "running"]
    assert app.ctl("status", "web:*").returncode == 0


def test_trigger_runs_once_beside_the_schedule_and_exits_with_its_code(app: Program) -> None:
    app.write('[jobs.batch]\ncommand = "echo done; exit 4"\nshell = true\nevery = "1h"\n')
    app.run()
    done = app.ctl("trigger", "batch", "--wait")
    assert done.returncode == 4
    assert done.stdout.splitlines() == ["done"]
    assert app.job("batch")["last"]["outcome"] == "failed"
    assert app.json("history")[0]["trigger"] == "manual"


def test_pause_and_resume(app: Program) -> None:
    app.write('[jobs.f]\ncommand = ["true"]\nevery = "200ms"\n' + ONE, sleeper=SLEEPER)
    app.run()
    assert app.ctl("pause", "f").stdout == "f: paused\n"
    assert app.job("f")["state"] == "paused"
    eventually(lambda: any(row["outcome"] == "missed" for row in app.json("history", "f")))
    assert app.ctl("resume", "f").returncode == 0
    assert app.job("f")["state"] in {"waiting", "running", "starting"}
    refused = app.ctl("pause", "web")
    assert refused.returncode == 1
    assert "jobvisor stop web" in refused.stderr


def test_an_exception_is_in_the_log_the_status_and_the_history(app: Program) -> None:
    app.write('[jobs.f]\nrun = "jobs.f:run"\nevery = "100ms"\n', f="def run():\n    raise ValueError('no such user')\n")
    app.run()
    job = app.eventually_job("f", health="failing")
    assert job["reason"] == "ValueError f.py:2"
    row = eventually(lambda: next((row for row in app.json("history", "f") if row["error"]), None))
    assert row["error"]["type"] == "ValueError"
    assert row["error"]["message"] == "no such user"
    assert (row["error"]["file"], row["error"]["line"]) == (str(app.folder / "jobs" / "f.py"), 2)
    eventually(lambda: "ValueError: no such user" in app.output("f"))
    assert "supervisor/engine" not in app.output("f")
    assert "ValueError" in app.ctl("errors").stdout


def test_init_check_and_run_work_from_nothing(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        (app.folder / "jobs").rmdir()
        assert app.ctl("init").returncode == 0
        assert app.ctl("check").stdout == "jobs.toml: ok, 2 jobs\n"
        again = app.ctl("init")
        assert again.returncode == 1
        assert "exists already" in again.stderr
        app.run()
        eventually(lambda: "tick number 1" in app.output("counter"))


def test_a_reader_that_goes_away_is_no_error(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    command = subprocess.Popen([*JOBVISOR, "status"], cwd=app.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.close()
    assert command.stderr is not None
    assert command.stderr.read() == b""
    command.stderr.close()
    command.wait()


def test_a_job_that_dies_at_once_gives_up_and_the_others_run_on(app: Program) -> None:
    app.write(ONE + '[jobs.bad]\ncommand = ["false"]\nbackoff = "none"\n', sleeper=SLEEPER)
    app.run()
    job = app.eventually_job("bad", state="failed")
    assert job["reason"] == "gave up after 5 restarts in 1m: exit 1"
    assert (job["runs"], job["restarts"]) == (6, 5)
    app.eventually_job("web", state="running", health="ok")


def test_python_means_the_environments_own(app: Program) -> None:
    app.write('[jobs.p]\ncommand = ["python", "-c", "import sys; print(sys.executable)"]\nrestart = "on-failure"\n')
    app.run()
    app.eventually_job("p", state="finished", health="ok")
    eventually(lambda: str(Path(sys.executable).parent) in app.output("p"))


def test_a_scheduled_job_that_a_reload_enables_runs(app: Program) -> None:
    job = '[jobs.f]\nrun = "jobs.f:run"\nevery = "100ms"\nenabled = '
    app.write(job + "false\n", f="def run():\n    print('ran')\n")
    app.run()
    assert app.job("f")["state"] == "disabled"
    app.write(job + "true\n")
    assert app.ctl("reload").returncode == 0
    eventually(lambda: "ran" in app.output("f"))


def test_a_reload_turns_vitals_on(app: Program) -> None:
    app.write('[supervisor]\nvitals = "off"\n' + ONE, sleeper=SLEEPER)
    app.run()
    app.eventually_job("web", state="running")
    assert app.job("web")["rss_bytes"] is None
    app.write('[supervisor]\nvitals = "100ms"\n' + ONE)
    assert app.ctl("reload").returncode == 0
    eventually(lambda: app.job("web")["rss_bytes"])


def test_a_run_that_cannot_listen_says_why_and_leaves_nothing(app: Program) -> None:
    app.write(ONE, sleeper=SLEEPER)
    (app.folder / ".jobvisor").mkdir()
    (app.folder / ".jobvisor" / "control.sock").write_text("precious")
    done = app.ctl("run")
    assert done.returncode == 1
    assert "control.sock" in done.stderr
    assert "Traceback" not in done.stderr
    assert (app.folder / ".jobvisor" / "control.sock").read_text() == "precious"


def test_a_group_gives_up_as_one_and_is_started_as_one(app: Program) -> None:
    app.write(
        '[groups.shop]\nmax_restarts = 0\n[jobs.db]\nrun = "jobs.sleeper:run"\ngroup = "shop"\nsettle = "50ms"\n'
        '[jobs.web]\nrun = "jobs.sleeper:run"\ngroup = "shop"\nsettle = "50ms"\n'
        '[jobs.page]\nrun = "jobs.sleeper:run"\nafter = ["web"]\nsettle = "50ms"\n',
        sleeper=SLEEPER,
    )
    app.run()
    web = app.eventually_job("web", state="running")["pid"]
    page = app.eventually_job("page", state="running")["pid"]
    os.kill(web, signal.SIGKILL)
    app.eventually_job("db", state="blocked", reason="group shop gave up")
    assert app.job("page")["pid"] == page
    [group] = app.json("status")["groups"]
    assert group == {"name": "shop", "state": "failed", "health": "failing", "restarts": 0}
    started = app.ctl("start", "db")
    assert started.returncode == 0, started.stderr
    app.eventually_job("web", state="running")
    stopped = app.ctl("stop", "shop")
    assert stopped.stdout == "db: stopped\nweb: stopped\n"
    assert app.json("status")["groups"][0]["state"] == "stopped"
    assert app.ctl("start", "shop").returncode == 0
    assert app.ctl("stop", "shpo").stderr == 'no job "shpo"; did you mean "shop"?\n'


def test_a_group_that_is_essential_ends_the_supervisor_with_1(app: Program) -> None:
    app.write(
        '[groups.shop]\nmax_restarts = 0\non_give_up = "escalate"\n'
        '[jobs.web]\nrun = "jobs.sleeper:run"\ngroup = "shop"\n[jobs.other]\nrun = "jobs.sleeper:run"\n',
        sleeper=SLEEPER,
    )
    supervisor = app.run()
    os.kill(app.eventually_job("web", state="running")["pid"], signal.SIGKILL)
    assert supervisor.wait(60) == 1
    assert "the supervisor ends" in app.log


def test_scale_starts_and_stops_instances_until_the_manifests_own_number_is_edited(app: Program) -> None:
    app.write(ONE + '[jobs.c]\nrun = "jobs.counter:Counter"\nevery = "100ms"\n', sleeper=SLEEPER, counter=COUNTER)
    app.run()
    first = app.eventually_job("web", state="running")["pid"]
    done = app.ctl("scale", "web=3")
    assert done.returncode == 0, done.stderr
    assert [line.partition(", pid")[0] for line in done.stdout.splitlines()] == ["web:2: running", "web:3: running"]
    assert app.job("web", 1)["pid"] == first
    assert [job["name"] for job in app.json("status")["jobs"]] == ["web", "web", "web", "c"]
    assert app.ctl("scale", "c=2").returncode == 0
    eventually(lambda: app.job("c", 2)["pid"])
    assert app.ctl("scale", "web=3").stdout == "web: has 3 already\n"
    assert app.ctl("reload").stdout == "nothing has changed\n"
    assert app.ctl("scale", "web=2").stdout == "web:3: stopped\n"
    assert app.job("web", 1)["pid"] == first
    app.write(ONE + "# edited\n[jobs.other]\ncommand = 'sleep 1000'\n")
    assert app.ctl("reload").returncode == 0
    eventually(lambda: [job["name"] for job in app.json("status")["jobs"]] == ["web", "web", "other"])
    assert app.job("web")["pid"] == first
    app.write(ONE + "instances = 3\n")
    assert app.ctl("reload").returncode == 0
    eventually(lambda: [job["name"] for job in app.json("status")["jobs"]] == ["web", "web", "web"])


@pytest.mark.parametrize(("change", "code"), [("web", 2), ("web=0", 2), ("web=x", 2), ("wbe=2", 4), ("*=2", 2)])
def test_scale_refuses_what_it_cannot_mean(app: Program, change: str, code: int) -> None:
    app.write(ONE, sleeper=SLEEPER)
    app.run()
    assert app.ctl("scale", change).returncode == code
    assert len(app.json("status")["jobs"]) == 1
