import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from shell import Canned, Shell, canned_supervisor
from test_table import SAMPLE

HEALTHY = SAMPLE | {"supervisor": {"healthy": True}}
UNHEALTHY = SAMPLE | {"supervisor": {"healthy": False}}


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def canned(tmp_path: Path) -> Iterator[Canned]:
    with canned_supervisor(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("answer", "code"), [(HEALTHY, 0), (UNHEALTHY, 3)])
def test_the_exit_code_says_whether_all_is_well(
    jobvisor: Shell, canned: Canned, answer: dict[str, Any], code: int
) -> None:
    canned.answers(status={"result": answer})
    done = jobvisor("status")
    assert done.returncode == code
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 5
    assert jobvisor("status", "--json").returncode == code


def test_json_is_the_supervisors_own_alone_on_stdout(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": HEALTHY})
    done = jobvisor("status", "--json")
    assert json.loads(done.stdout) == HEALTHY
    assert done.stderr == ""


def test_names_are_the_supervisors_to_judge(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"error": [4, 'no job "wbe"; did you mean "web"?']})
    done = jobvisor("status", "wbe", "a*", "web:2")
    assert canned.requests == [["status", {"names": ["wbe", "a*", "web:2"], "described": True}]]
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == 'no job "wbe"; did you mean "web"?\n'


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["status", "--"]])
def test_without_a_supervisor_it_is_4_and_says_what_to_do(jobvisor: Shell, arguments: list[str]) -> None:
    jobvisor.write("")
    done = jobvisor(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert "start one with `jobvisor run`" in done.stderr
    assert f"tried {jobvisor.folder}/.jobvisor/control.sock: No such file or directory" in done.stderr


def test_without_a_manifest_it_is_1_and_says_where_was_looked(jobvisor: Shell) -> None:
    done = jobvisor("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"no jobs.toml in {jobvisor.folder}")


def test_a_broken_manifest_hides_no_running_supervisor(jobvisor: Shell, canned: Canned) -> None:
    jobvisor.write('[jobs.a\nstate_dir = 3 "')
    canned.answers(status={"result": HEALTHY})
    assert jobvisor("status").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["status", "web", "--json", "a*"],
        ["-f", "jobs.toml", "status"],
        ["--file", "jobs.toml", "status", "web"],
        ["status", "-f", "jobs.toml"],
        ["-f", "nowhere.toml", "status", "-f", "jobs.toml"],
        ["-f", "nowhere.toml", "status"],
        ["--socket", ".jobvisor/control.sock", "status"],
        ["status", "--socket", ".jobvisor/control.sock"],
        ["--socket", ".jobvisor/control.sock", "status", "-f", "nowhere.toml"],
        ["--socket", "nowhere.sock", "status", "--json"],
        ["-f", "", "status"],
        ["status", ""],
        ["status", "status"],
    ],
    ids=" ".join,
)
def test_the_quick_way_says_and_does_what_the_way_through_click_does(
    jobvisor: Shell, canned: Canned, arguments: list[str]
) -> None:
    canned.answers(status={"result": UNHEALTHY | {"jobs": [job | {"last": None} for job in SAMPLE["jobs"][2:3]]}})
    quick, long = jobvisor(*arguments), jobvisor(*arguments, "--")
    assert (quick.returncode, quick.stdout, quick.stderr) == (long.returncode, long.stdout, long.stderr)
    requests = canned.requests
    assert requests[::2] == requests[1::2]
    assert "Traceback" not in quick.stderr


@pytest.mark.parametrize(
    "arguments",
    [["status", "--watch"], ["status", "--jsno"], ["status", "-f"], ["--json", "status"], ["status", "--json=1"]],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_why(jobvisor: Shell, arguments: list[str]) -> None:
    done = jobvisor(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_the_quick_way_imports_nothing_that_it_does_not_need(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": HEALTHY})
    code = "import sys; from supervisor.cli.main import main; main(['status']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=jobvisor.folder, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "supervisor.cli.status_view" in loaded
    assert loaded.isdisjoint(
        {
            "click",
            "asyncio",
            "psutil",
            "loguru",
            "pathlib",
            "dataclasses",
            "inspect",
            "subprocess",
            "sqlite3",
            "tomllib",
        }
    )


def on_a_terminal(jobvisor: Shell, columns: int, **environ: str) -> str:
    """Return what ``status`` shows on a terminal so many columns wide."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    jobvisor.environ |= {"NO_COLOR": "", **environ}
    done = jobvisor.start("status", stdout=slave)
    os.close(slave)
    shown = b""
    try:
        while block := os.read(master, 4096):
            shown += block
    except OSError:  # EIO: the last one who had the other side open has closed it
        pass
    os.close(master)
    done.communicate()
    return shown.decode()


def test_on_a_terminal_health_is_coloured_and_lines_fit(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": HEALTHY})
    shown = on_a_terminal(jobvisor, 100)
    assert "\x1b[32mok\x1b[0m" in shown
    plain = shown.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, plain)) == 100
    assert plain[-1].endswith("…")


def test_no_color_is_obeyed(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": HEALTHY})
    assert "\x1b" not in on_a_terminal(jobvisor, 200, NO_COLOR="1")


def test_a_reader_that_has_gone_changes_neither_stderr_nor_the_exit_code(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": UNHEALTHY})
    for arguments in (["status"], ["status", "--json"], ["status", "--"]):
        with jobvisor.start(*arguments) as command:
            assert command.stdout is not None
            command.stdout.close()
            assert command.stderr is not None
            assert command.stderr.read() == ""
        assert command.returncode == 3


def test_a_closed_stdout_is_no_error(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(status={"result": UNHEALTHY})
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m supervisor status >&-"],
        cwd=jobvisor.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("arguments", [["status"], ["status", "--"], ["start", "web"]], ids=" ".join)
def test_ctrl_c_ends_a_client_quietly_with_130(jobvisor: Shell, canned: Canned, arguments: list[str]) -> None:
    canned.answers(status="never", start="never")
    with jobvisor.start(*arguments) as command:
        eventually(lambda: canned.requests)
        command.send_signal(signal.SIGINT)
        assert command.communicate() == ("", "")
    assert command.returncode == 130
