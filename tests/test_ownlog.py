import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually
from program import program

from supervisor import ownlog
from supervisor.logs.own import ROOM, OwnFile
from supervisor.ownlog import OwnLog, Stderr

PROGRAM = """
from loguru import logger
from supervisor.ownlog import open_log
sink = open_log("INFO")
for number in range(20_000):
    logger.info("line {}", number)
print("lost", sink.lost)
"""

GREETING = """
from loguru import logger
from supervisor.ownlog import open_log
open_log("INFO")
logger.warning("hello {x}", x=1)
"""

BROKEN = """
import os
from loguru import logger
from supervisor.ownlog import open_log
reader, writer = os.pipe()
os.dup2(writer, 2)
sink = open_log("INFO")
os.close(reader)
logger.info("hello")
print(sink.lost)
"""


def test_a_stderr_that_nobody_reads_holds_nothing_up() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stderr is not None
    lost = int(program.stdout.read().split()[1])
    written = program.stderr.read()
    program.wait()
    program.stdout.close()
    program.stderr.close()
    assert lost > 0
    assert "line 0\n" in written


def test_lines_have_a_utc_time_and_a_level() -> None:
    done = subprocess.run([sys.executable, "-c", GREETING], capture_output=True, text=True, check=True)
    stamp, level, text = done.stderr.split(maxsplit=2)
    assert stamp.endswith("Z")
    assert (level, text) == ("WARNING", "hello 1\n")


def test_a_closed_stderr_is_counted_not_raised() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


FAILS = """
import asyncio, sys
from supervisor.logs.own import OwnFile
from supervisor.ownlog import open_log, unhandled
open_log("INFO", OwnFile(sys.argv[1], max_size=1_000_000, keep=5))
def fails():
    password = "hunter2"
    raise ValueError("no " + "such thing" + password[:0])
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unhandled)
    loop.call_soon(fails)
    await asyncio.sleep(0)
asyncio.run(main())
"""


def test_what_a_callback_raises_is_logged_without_the_values_of_variables(tmp_path: Path) -> None:
    log = tmp_path / "own.log"
    before = os.umask(0)
    try:
        done = subprocess.run([sys.executable, "-c", FAILS, str(log)], capture_output=True, text=True, check=True)
    finally:
        os.umask(before)
    for text in (done.stderr, log.read_text()):
        assert "ERROR   Exception in callback fails" in text
        assert "ValueError: no such thing" in text
        assert "hunter2" not in text.replace('password = "hunter2"', "")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_file_is_rotated_by_size_and_keeps_so_many(tmp_path: Path) -> None:
    file = OwnFile(str(tmp_path / "own.log"), max_size=100, keep=2)
    for number in range(50):
        file.write(f"this is line {number}\n")
    file.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.log", "own.log.1", "own.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "own.log").read_text().endswith("this is line 49\n")
    assert file.trouble is None


def test_a_file_that_takes_no_more_loses_lines_and_holds_nobody_up(tmp_path: Path) -> None:
    """A FIFO that nobody reads takes 64 KiB, and then nothing more, as a full disk."""
    path = tmp_path / "own.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = OwnFile(str(path), max_size=10**9, keep=2)
    for _ in range(3 * ROOM):
        file.write("x" * 100 + "\n")
    os.close(reader)
    file.stop()
    assert "lines lost at" in (file.trouble or "")


def test_a_file_that_was_moved_is_left_behind_when_told(tmp_path: Path) -> None:
    path = tmp_path / "own.log"
    file = OwnFile(str(path), max_size=10**9, keep=2)
    file.write("before\n")
    file.settle()
    path.rename(tmp_path / "moved")
    file.write("still the old one\n")
    file.settle()
    file.reopen()
    eventually(path.exists)
    file.write("the new one\n")
    file.stop()
    assert (tmp_path / "moved").read_text() == "before\nstill the old one\n"
    assert path.read_text() == "the new one\n"


def test_a_file_that_cannot_be_written_costs_its_lines_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with program(tmp_path) as made:
        made.write('[supervisor]\nlog = { file = "taken/own.log" }\n[jobs.a]\ncommand = ["sleep", "1000"]\n')
        made.run()
        (warning,) = eventually(lambda: made.json("status")["warnings"])
        assert re.fullmatch(
            rf"the supervisor's own log: \d+ lines lost at {tmp_path}/taken/own.log: Not a directory", warning
        )
        assert made.job("a")["state"] == "running"


def test_usr1_reopens_the_supervisors_own_file_too(tmp_path: Path) -> None:
    with program(tmp_path) as made:
        made.write('[supervisor]\nlog = { file = "own.log" }\n[jobs.a]\ncommand = ["sleep", "1000"]\n')
        made.run()
        own = tmp_path / "own.log"
        eventually(lambda: own.exists() and "a: running" in own.read_text())
        own.rename(tmp_path / "moved.log")
        os.kill(made.pid, signal.SIGUSR1)
        eventually(own.exists)
        made.ctl("stop", "a")
        eventually(lambda: "a: stopped" in own.read_text())
        made.ctl("shutdown")
    assert own.read_text().endswith("INFO    ended\n")
    assert "a: stopped" not in (tmp_path / "moved.log").read_text()


def test_a_loss_is_told_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    before = os.dup(2)
    os.dup2(write, 2)
    try:
        sink = Stderr()
    finally:
        os.dup2(before, 2)
    log = OwnLog(sink, None)
    sink("first\n")
    assert log.warnings == []
    os.close(read)
    sink("second\n")
    assert log.warnings == ["1 lines of the supervisor's own log did not fit stderr"]
    monkeypatch.setattr(ownlog, "RECENT", 0.0)
    assert log.warnings == []
    os.close(write)
    os.close(before)
