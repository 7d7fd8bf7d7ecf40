import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, program
from terminal import Terminal

TWO = """
[jobs.web]
command = ["sleep", "1000"]
[jobs.stubborn]
command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
stop_timeout = "2s"
"""


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(TWO)
        made.run()
        made.eventually_job("web", state="running", health="ok")
        made.eventually_job("stubborn", state="running", health="ok")
        yield made


def test_watch_draws_each_change_and_leaves_the_last_table_behind(app: Program) -> None:
    terminal = Terminal(app.folder, "status", "--watch")
    eventually(lambda: "running" in terminal.read())
    assert "\x1b[?1049h" in terminal.shown
    app.ctl("stop", "web")
    eventually(lambda: re.search(r"web +stopped", plain(terminal.read())))
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    left = terminal.shown.rpartition("\x1b[?1049l")[2]
    assert re.search(r"web +stopped", plain(left))
    assert "Traceback" not in terminal.shown


def test_watch_ends_with_4_when_the_supervisor_does(app: Program) -> None:
    terminal = Terminal(app.folder, "status", "--watch", "web")
    eventually(lambda: "running" in terminal.read())
    app.end()
    assert terminal.end() == 4
    assert "the supervisor has ended" in terminal.shown


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_a_narrow_terminal_shows_fewer_columns_and_always_the_health(app: Program, columns: int) -> None:
    terminal = Terminal(app.folder, "status", columns=columns)
    assert terminal.end() == 0
    lines = plain(terminal.shown).splitlines()
    assert max(map(len, lines)) <= columns
    if columns >= 40:
        assert [line.split()[-1] for line in lines] == ["HEALTH", "ok", "ok"]


def test_watch_as_json_is_a_line_for_each_change_and_needs_no_terminal(app: Program) -> None:
    with subprocess.Popen(
        [*JOBVISOR, "status", "--watch", "--json"], cwd=app.folder, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["jobs"][0]["state"] == "running"
        app.ctl("stop", "web")
        while json.loads(watching.stdout.readline())["jobs"][0]["state"] != "stopped":
            pass
        app.end()
        assert watching.wait(60) == 0


def test_watch_without_a_terminal_is_wrong_usage(app: Program) -> None:
    done = app.ctl("status", "--watch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--watch draws on a terminal" in done.stderr


def test_watch_of_an_unknown_job_is_4(app: Program) -> None:
    terminal = Terminal(app.folder, "status", "--watch", "wbe")
    assert terminal.end() == 4
    assert 'no job "wbe"; did you mean "web"?' in terminal.shown


def test_a_long_order_says_what_it_waits_for_and_then_only_what_came_of_it(app: Program) -> None:
    terminal = Terminal(app.folder, "stop", "*")
    eventually(lambda: re.search(r"stop: waits for stubborn \(\d+s\)", terminal.read()))
    assert terminal.end() == 0
    left = terminal.shown.rpartition("\x1b[K")[2]
    assert left.splitlines() == ["web: stopped", "stubborn: stopped"]


def test_a_shutdown_says_what_it_waits_for(app: Program) -> None:
    terminal = Terminal(app.folder, "shutdown")
    eventually(lambda: "shutdown: waits for stubborn" in terminal.read())
    assert terminal.end() == 0
    assert f"ended (pid {app.pid})" in terminal.shown


def test_a_wait_that_is_interrupted_leaves_a_clean_line(app: Program) -> None:
    terminal = Terminal(app.folder, "stop", "stubborn")
    eventually(lambda: "waits for stubborn" in terminal.read())
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.shown.endswith("\x1b[K")


def test_quiet_says_nothing_but_errors(app: Program) -> None:
    terminal = Terminal(app.folder, "--quiet", "stop", "stubborn")
    assert (terminal.end(), terminal.shown) == (0, "")
    for arguments in (["start", "web", "-q"], ["-q", "status"], ["status", "--quiet", "--json"]):
        done = app.ctl(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = app.ctl("start", "nobody", "-q")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no job" in done.stderr


def test_a_file_gets_no_colour_and_no_live_line(app: Program) -> None:
    started = time.monotonic()
    done = app.ctl("restart", "stubborn")
    assert time.monotonic() - started > 1
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"stubborn: running, pid \d+\n", done.stdout)


def test_the_supervisor_sleeps_while_somebody_watches(app: Program) -> None:
    app.write("[supervisor]\nvitals = 'off'\n" + TWO)
    app.ctl("reload")
    terminal = Terminal(app.folder, "status", "--watch")
    eventually(lambda: "running" in terminal.read())

    def switches() -> int:
        return int(re.search(r"voluntary_ctxt_switches:\t(\d+)", Path(f"/proc/{app.pid}/status").read_text())[1])  # type: ignore[index]

    before, drawn = switches(), len(terminal.read())
    eventually(lambda: len(terminal.read()) > drawn)
    assert switches() - before < 5
    terminal.process.send_signal(signal.SIGINT)
    terminal.end()
