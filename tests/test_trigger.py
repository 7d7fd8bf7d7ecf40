"""A run by hand, asked of the real program: its output, its exit code, and what stands in its way."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, program

FAR = 'every = "1h"\n'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        yield made


def shell(name: str, script: str, more: str = "") -> str:
    return f"[jobs.{name}]\nshell = true\ncommand = '{script}'\n{FAR}{more}\n"


def triggered(app: Program, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*JOBVISOR, "trigger", name, "--wait"],
        cwd=app.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_output_is_printed_as_it_comes(app: Program) -> None:
    app.write(shell("slow", "echo one; until [ -e go ]; do sleep 0.05; done; echo two >&2; exit 3"))
    app.run()
    waiting = triggered(app, "slow")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "one\n"
    assert app.job("slow")["state"] == "running"
    (app.folder / "go").touch()
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out, err) == (3, "two\n", "slow: failed: exit 3\n")


@pytest.mark.parametrize(
    ("script", "more", "code", "outcome"),
    [
        ("exit 0", "", 0, "ok"),
        ("exit 75", "success_exit = [0, 75]", 75, "ok"),
        ("kill -9 $$", "", 137, "killed: SIGKILL"),
        ("exec sleep 60", 'timeout = "200ms"', 143, "timeout"),
        ("exit $JOBVISOR_ATTEMPT", 'retries = 1\nbackoff = "none"', 2, "failed: exit 2"),
        ('trap "exit 0" TERM; sleep 60 & wait', 'timeout = "2s"', 1, "timeout"),
    ],
)
def test_the_exit_code_is_the_runs_own(app: Program, script: str, more: str, code: int, outcome: str) -> None:
    app.write(f'[jobs.batch]\nshell = true\ncommand = """{script}"""\n{FAR}{more}\n')
    app.run()
    done = app.ctl("trigger", "batch", "--wait")
    assert (done.returncode, (done.stdout + done.stderr).splitlines()[-1]) == (code, f"batch: {outcome}")


def test_a_run_in_the_way_skips_it_and_that_is_1(app: Program) -> None:
    app.write(shell("long", "exec sleep 60"))
    app.run()
    assert app.ctl("trigger", "long").returncode == 0
    app.eventually_job("long", state="running")
    for arguments in (["long"], ["long", "--wait"]):
        done = app.ctl("trigger", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("long: skipped: run 1 since ")


QUEUED = shell("q", "echo run $JOBVISOR_RUN_ID; until [ -e go ]; do sleep 0.05; done", 'overlap = "queue"')


def test_a_queued_run_is_followed_from_its_own_start(app: Program) -> None:
    app.write(QUEUED)
    app.run()
    assert app.ctl("trigger", "q").stdout == "q: run 1\n"
    eventually(lambda: "run 1" in app.output("q"))
    waiting = triggered(app, "q")
    (app.folder / "go").touch()
    out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (0, "run 2\nq: ok\n")


def test_a_run_that_loses_its_place_in_the_queue_is_1(app: Program) -> None:
    app.write(QUEUED)
    app.run()
    app.ctl("trigger", "q")
    waiting = triggered(app, "q")
    eventually(lambda: app.ctl("trigger", "q").stdout == "q: waits for its turn\n" and waiting.poll() is not None)
    _, err = waiting.communicate()
    assert (waiting.returncode, err) == (1, "q: skipped: a later due time took its place in the queue\n")
    (app.folder / "go").touch()


def test_a_run_beside_another_one_is_followed_too(app: Program) -> None:
    app.write(shell("many", "[ -e first ] && exec echo second; touch first; exec sleep 60", 'overlap = "allow"'))
    app.run()
    app.ctl("trigger", "many")
    eventually((app.folder / "first").exists)
    done = app.ctl("trigger", "many", "--wait")
    assert (done.returncode, done.stdout) == (0, "second\nmany: ok\n")
    [run] = [run["run_id"] for run in app.json("history", "many") if run["outcome"] == "ok"]
    assert app.log.count(f"many: run {run} ended after ") == 1


def test_the_last_lines_of_a_run_that_fails_beside_another_one_are_its_own(app: Program) -> None:
    script = "[ -e first ] && { echo from the second; exit 3; }; touch first; echo from the first; exec sleep 60"
    app.write(shell("many", script, 'overlap = "allow"'))
    app.run()
    app.ctl("trigger", "many")
    eventually(lambda: "from the first" in app.output("many"))
    assert app.ctl("trigger", "many", "--wait").returncode == 3
    output = eventually(lambda: (app.json("show", "many")["error"] or {}).get("output"))
    assert "from the second" in "".join(output)
    assert "from the first" not in "".join(output)


def test_output_that_is_thrown_away_is_not_waited_for(app: Program) -> None:
    app.write(shell("mute", "echo said", 'log = "null"'))
    app.run()
    assert app.ctl("trigger", "mute", "--wait").stdout == "mute: ok\n"


def test_a_job_that_has_had_its_one_instant_runs_by_hand(app: Program) -> None:
    app.write("[jobs.once]\ncommand = ['echo', 'again']\nat = 2020-01-01T00:00:00Z\n")
    app.run()
    app.eventually_job("once", state="finished")
    assert app.ctl("trigger", "once", "--wait").stdout == "again\nonce: ok\n"
    assert app.job("once")["state"] == "finished"


def test_a_tick_by_hand(app: Program) -> None:
    app.write(
        f'[jobs.clock]\nrun = "jobs.clock:Clock"\n{FAR}',
        clock="from supervisor import Worker\nclass Clock(Worker):\n    def tick(self): print('tick')\n",
    )
    app.run()
    eventually(lambda: app.job("clock")["state"] == "waiting" and app.job("clock")["pid"])
    assert app.ctl("trigger", "clock", "--wait").stdout == "tick\nclock: ok\n"


def test_what_cannot_be_triggered_is_1_and_says_why(app: Program) -> None:
    app.write(shell("off", "true", "enabled = false") + "[jobs.web]\ncommand = ['sleep', '60']\n")
    app.run()
    assert (done := app.ctl("trigger", "off")).returncode == 1
    assert done.stderr == "off is disabled in the manifest\n"
    assert (done := app.ctl("trigger", "web")).returncode == 1
    assert done.stderr == "web has no schedule; use `jobvisor start web`\n"


def test_the_end_of_the_supervisor_ends_the_wait(app: Program) -> None:
    app.write(shell("long", "echo up; exec sleep 60"))
    app.run()
    waiting = triggered(app, "long")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "up\n"
    assert app.ctl("shutdown").returncode == 0
    _, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (143, "long: stopped\n")
