import os
import subprocess
import sys
from pathlib import Path

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
from supervisor.ownlog import open_log, unhandled
open_log("INFO", sys.argv[1])
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
