"""The jobs' lines on a terminal or a pipe that ``run`` was started on."""
# ruff: noqa: ASYNC240  # nobody else needs a test's loop while it looks at a file

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import eventually
from stage import job, on_loop, stage

from supervisor.logs.outputs import COLOURS

SUPERVISOR = """
import asyncio, os, pathlib, sys
from stage import job, stage

async def main():
    async with stage(pathlib.Path(sys.argv[1]), console=True) as on:
        for command in sys.stdin:                    # "name text": a run of the job prints the text
            name, _, text = command.rstrip("\\n").partition(" ")
            on.write(job(name), text.encode().decode("unicode_escape").encode())
            await on.eventually(lambda: not on.logs._outputs.runs)
            print("done", file=sys.stderr, flush=True)

asyncio.run(main())
"""


class Terminal:
    """A supervisor whose stdout is a terminal of ours."""

    def __init__(self, log_dir: Path, environ: dict[str, str]) -> None:
        self.ours, theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(log_dir)],
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env={**environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        self.theirs = theirs
        self.shown = ""

    def print(self, name: str, text: str) -> None:
        """Have a run of a job print a text and end."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.write(f"{name} {text}\n".encode())
        self.process.stdin.flush()
        assert self.process.stderr.readline() == b"done\n"

    def read(self) -> str:
        """Return all that the terminal has shown."""
        with suppress(BlockingIOError):
            self.shown += os.read(self.ours, 65536).decode()
        return self.shown.replace("\r\n", "\n")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        self.process.stderr.close()
        assert self.process.wait() == 0
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, {**os.environ, "NO_COLOR": "1"})
    yield terminal
    terminal.close()


@pytest.fixture
def coloured(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, {name: value for name, value in os.environ.items() if name != "NO_COLOR"})
    yield terminal
    terminal.close()


def test_lines_stand_behind_their_jobs_name_in_one_column(terminal: Terminal, tmp_path: Path) -> None:
    terminal.print("importer", r"one\ntwo\n")
    terminal.print("web", "no end")
    eventually(lambda: terminal.read() == "importer | one\nimporter | two\nweb      | no end\n")
    assert (tmp_path / "web.log").read_text() == "no end\n"


def test_a_name_has_its_own_colour_always_the_same_on_a_terminal(coloured: Terminal) -> None:
    for name in ("web", "api", "web"):
        coloured.print(name, r"line\n")
    eventually(lambda: coloured.read().count("\n") == 3)
    shown = re.findall(r"\x1b\[(\d+)m(web|api) \| \x1b\[0mline\n", coloured.read())
    assert [name for _, name in shown] == ["web", "api", "web"]
    assert shown[0] == shown[2] != shown[1]
    assert {int(colour) for colour, _ in shown} <= set(COLOURS)


@pytest.mark.parametrize("how", ["stopped by Ctrl-S", "not read"])
def test_a_terminal_that_blocks_loses_lines_and_the_files_lose_none(
    terminal: Terminal, tmp_path: Path, how: str
) -> None:
    tty.setraw(terminal.theirs)
    terminal.print("web", r"before\n")
    eventually(lambda: "before" in terminal.read())
    if how != "not read":
        termios.tcflow(terminal.theirs, termios.TCOOFF)
    text = r"\n".join(f"line {number:04}" for number in range(3000)) + r"\n"
    for _ in range(3):
        terminal.print("web", text)
    assert (tmp_path / "web.log").read_text().count("\n") == 9001
    termios.tcflow(terminal.theirs, termios.TCOON)
    eventually(lambda: terminal.read().endswith("\n") and not select.select([terminal.ours], [], [], 0.1)[0])
    terminal.print("web", r"after\n")
    eventually(lambda: terminal.read().endswith("web | after\n"))
    shown = terminal.read().splitlines()
    lines = [line for line in shown if re.fullmatch(r"web \| (before|line \d{4}|after)", line)]
    notes = [line for line in shown if re.fullmatch(r"\[jobvisor\] \d+ lines did not fit here; .*", line)]
    assert len(lines) + len(notes) == len(shown), "lines were mixed"
    assert (len(lines) == 2) == (how != "not read")
    assert len(lines) + sum(int(note.split()[1]) for note in notes) == 9002


def test_the_flags_of_the_shared_terminal_stay_as_they_are(terminal: Terminal) -> None:
    before = fcntl.fcntl(terminal.theirs, fcntl.F_GETFL)
    terminal.print("web", r"line\n")
    eventually(lambda: "line" in terminal.read())
    assert fcntl.fcntl(terminal.theirs, fcntl.F_GETFL) == before
    assert not before & os.O_NONBLOCK


def test_a_pipe_that_nobody_reads_any_more_costs_no_line_of_a_file(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    supervisor.stdout.close()
    supervisor.communicate(rb"""web one\n
web two\n
""")
    assert supervisor.returncode == 0
    assert (tmp_path / "web.log").read_text() == "one\ntwo\n"


def test_a_file_as_stdout_has_every_line_without_colour(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with (tmp_path / "shown").open("w") as shown:
        subprocess.run(
            [sys.executable, "-c", SUPERVISOR, str(tmp_path / "logs")],
            input=rb"""web one\n
api two\n
""",
            stdout=shown,
            stderr=subprocess.DEVNULL,
            env={**environ, "PYTHONPATH": str(Path(__file__).parent)},
            check=True,
        )
    assert (tmp_path / "shown").read_text() == "web | one\napi | two\n"


@on_loop
async def test_without_a_console_nothing_is_printed_and_stdout_is_not_held_open(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job(), b"line\n")
        await on.eventually(on.text)
        assert Path(f"/proc/{on.logs.pid}/fd/1").readlink() == Path(os.devnull)
