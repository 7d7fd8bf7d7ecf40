"""The log process as jobs meet it: their pipes, and the files behind them."""
# ruff: noqa: ASYNC221, ASYNC240  # nobody else needs a test's loop while it looks at a file

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import eventually
from stage import PLAIN, end, job, numbered, on_loop, stage

from supervisor.core.job import LogFiles

COUNT = "import sys\nfor number in range(int(sys.argv[1])): print('line', number)"
FLOOD = "import os\nblock = (b'x' * 99 + b'\\n') * 655\nwhile True: os.write(1, block)"


@on_loop
async def test_the_last_line_before_a_kill_is_in_the_file(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        program = "import os, signal; os.write(1, b'last words'); os.kill(os.getpid(), signal.SIGKILL)"
        _, process = on.run(job(), program)
        await on.eventually(lambda: process.poll() == -signal.SIGKILL)
        await on.eventually(lambda: on.text() == "last words\n")


@on_loop
async def test_every_line_of_a_job_has_a_time_and_is_in_the_file_in_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        _, process = on.run(job(log=LogFiles()), COUNT, "20000")
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: on.text().count("\n") == 20_000)
        for number, line in enumerate(on.text().splitlines()):
            assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z line {number}", line)


@on_loop
async def test_an_unfinished_line_is_in_the_file_before_it_ends(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        _, out, err = on.open(job())
        os.write(out, b"password: ")
        await on.eventually(lambda: on.text() == "password: ")
        os.close(out)
        os.close(err)


@on_loop
async def test_stderr_is_merged_in_order_or_has_a_file_of_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        program = "import os\nfor n in range(50): os.write(1 + n % 2, b'%d\\n' % n)"
        _, process = on.run(job("both"), program)
        await on.eventually(lambda: process.poll() == 0)
        _, process = on.run(job("apart", LogFiles(timestamps=False, merge_stderr=False)), program)
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: on.text("both.log").split() == [f"{n}" for n in range(50)])
        await on.eventually(lambda: on.text("apart.log").split() == [f"{n}" for n in range(0, 50, 2)])
        await on.eventually(lambda: on.text("apart.err.log").split() == [f"{n}" for n in range(1, 50, 2)])


@on_loop
async def test_instances_have_files_of_their_own_and_lanes_share_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job(instances=2), b"first\n", instance=1)
        on.write(job(instances=2), b"second\n", instance=2)
        await on.eventually(lambda: (on.text("web:1.log"), on.text("web:2.log")) == ("first\n", "second\n"))
        _, lane, other = on.open(job("nightly"), lane=1)
        on.write(job("nightly"), b"main\n")
        os.write(lane, b"beside\n")
        os.close(lane)
        os.close(other)
        await on.eventually(lambda: sorted(on.text("nightly.log").split()) == ["beside", "main"])


@on_loop
async def test_two_runs_never_share_a_line(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job(), b"no end")
        on.write(job(), b"next run\n")
        await on.eventually(lambda: sorted(on.text().splitlines()) == ["next run", "no end"])


@on_loop
async def test_a_line_over_64_kib_is_split(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        _, process = on.run(job(), "print('x' * 150_000); print('after')")
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: on.text().endswith("after\n"))
        assert [len(line) for line in on.text().splitlines()] == [65536, 65536, 150_000 - 2 * 65536, 5]


@on_loop
async def test_rotation_under_a_flood_keeps_exactly_keep_and_loses_no_line(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        count = 60_000
        _, process = on.run(job(log=LogFiles(timestamps=False, max_size=20_000, keep=100)), COUNT, f"{count}")
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: on.text().endswith(f"line {count - 1}\n"))
        assert numbered(tmp_path / "web.log") == [f"line {number}" for number in range(count)]
        _, process = on.run(job("few", LogFiles(timestamps=False, max_size=20_000, keep=3)), COUNT, f"{count}")
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: on.text("few.log").endswith(f"line {count - 1}\n"))
        kept = numbered(tmp_path / "few.log")
        assert kept == [f"line {number}" for number in range(count - len(kept), count)]
        assert sorted(path.name for path in tmp_path.glob("few.log.*")) == ["few.log.1", "few.log.2", "few.log.3"]


@on_loop
async def test_a_quiet_jobs_line_is_in_its_file_while_others_flood(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.eventually(lambda: on.logs.pid is not None)
        _, quiet, other = on.open(job("quiet"))
        floods = [on.run(job(f"flood{number}", LogFiles(max_size=1_000_000, keep=1)), FLOOD)[1] for number in range(2)]
        try:
            await on.eventually(lambda: (tmp_path / "flood0.log.1").exists() and (tmp_path / "flood1.log.1").exists())
            for number in range(5):
                os.write(quiet, b"%d\n" % number)
                await on.eventually(lambda number=number: on.text("quiet.log").endswith(f"{number}\n"))
            assert all(process.poll() is None for process in floods)
        finally:
            for process in floods:
                process.kill()
                process.wait()
        os.close(quiet)
        os.close(other)


@on_loop
async def test_signals_of_a_terminal_and_of_systemd_do_not_end_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job("warm"), b"up\n")
        await on.eventually(lambda: on.text("warm.log"))
        pid = on.logs.pid
        assert pid is not None
        assert os.getsid(pid) == pid
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(pid, number)
        on.write(job(), b"still here\n")
        await on.eventually(lambda: on.text() == "still here\n")
        assert (on.logs.pid, on.warned) == (pid, [])


@on_loop
async def test_nothing_wakes_it_while_jobs_are_quiet(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        ends = [on.open(job(f"job{number}"))[1:] for number in range(20)]
        on.write(job(), b"up\n")
        await on.eventually(on.text)
        waits = Path(f"/proc/{on.logs.pid}/syscall")
        await on.eventually(lambda: waits.read_text() != "running\n" and _switches(on.logs.pid) == _later(on.logs.pid))
        for out, err in ends:
            os.close(out)
            os.close(err)


@on_loop
async def test_a_pipe_that_has_ended_wakes_it_no_more_though_the_supervisor_still_holds_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.eventually(lambda: on.logs._wire is not None)
        asyncio.get_running_loop().remove_reader(on.logs._wire)  # hears nothing of the end
        on.write(job(), b"line\n")
        await on.eventually(on.text)
        await on.eventually(lambda: _switches(on.logs.pid) == _later(on.logs.pid))
        before = _cpu(on.logs.pid)
        _later(on.logs.pid)
        assert _cpu(on.logs.pid) - before < 20, "it ran for half of the half second"
        assert len(on.logs._outputs.runs) == 1


def _cpu(pid: int | None) -> int:
    """Return the ticks that a process has run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _switches(pid: int | None) -> int:
    """Return how often a process has been put to sleep or interrupted."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(number) for number in re.findall(r"ctxt_switches:\s+(\d+)", status))


def _later(pid: int | None) -> int:
    time.sleep(0.5)  # not a wait for something: the half second is what is measured
    return _switches(pid)


@on_loop
async def test_it_imports_nothing_that_would_make_it_large(tmp_path: Path) -> None:
    program = "import sys, supervisor.logs.process; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.decode().split()
    )
    heavy = {"asyncio", "loguru", "psutil", "click", "rich", "dataclasses", "inspect", "pathlib", "datetime"}
    assert not modules & heavy
    async with stage(tmp_path) as on:
        on.write(job(), b"up\n")
        await on.eventually(on.text)
        rollup = Path(f"/proc/{on.logs.pid}/smaps_rollup").read_text()
        private = re.search(r"Private_Dirty:\s+(\d+) kB", rollup)
        assert private is not None
        assert int(private[1]) < 16_000


# -- the supervisor's death --------------------------------------------------------------------------------------------

SUPERVISOR = """
import asyncio, os, pathlib, signal, subprocess, sys
from stage import job, stage

WRITER = '''
import os, sys
os.read(0, 1)                          # until the supervisor is dead
for number in range(20000): print("line", number)
print("the end", end="")
'''

async def main():
    async with stage(pathlib.Path(sys.argv[1])) as on:
        _, out, err = on.open(job())
        gate, opener = os.pipe()       # the opener dies with this process, and the writer begins
        subprocess.Popen([sys.executable, "-S", "-c", WRITER], stdin=gate, stdout=out, stderr=err)
        os.close(out), os.close(err), os.close(gate)
        if sys.argv[2] == "stopped":
            await on.eventually(lambda: on.logs.pid)
            on.write(job("warm"), b"up\\n")
            await on.eventually(lambda: on.text("warm.log"))
            os.kill(on.logs.pid, signal.SIGSTOP)
        elif sys.argv[2] == "unread":  # its facts are never read, so its socket is reset
            asyncio.get_running_loop().remove_reader(on.logs._wire)
            on.write(job("warm"), b"up\\n")
            await on.eventually(lambda: on.text("warm.log"))
            on.logs.open(*on_the_way())
        on.logs._flush(on.logs._wire)
        print(on.logs.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

def on_the_way():
    from stage import attempt
    return attempt(1000), job("unread")

asyncio.run(main())
"""


def _killed_supervisor(log_dir: Path, how: str) -> int:
    """Return the pid of the log process of a supervisor that has killed itself while a job writes."""
    supervisor = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, str(log_dir), how],
        stdout=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert supervisor.returncode == -signal.SIGKILL
    return int(supervisor.stdout)


def _is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def _assert_drained(log_dir: Path, pid: int) -> None:
    try:
        eventually(lambda: _is_gone(pid))
    finally:
        end(pid, signal.SIGKILL)
    assert numbered(log_dir / "web.log") == [*(f"line {number}" for number in range(20_000)), "the end"]


def test_a_job_that_outlives_a_killed_supervisor_loses_no_line(tmp_path: Path) -> None:
    _assert_drained(tmp_path, _killed_supervisor(tmp_path, "running"))


def test_a_stopped_log_process_wakes_up_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    _assert_drained(tmp_path, _killed_supervisor(tmp_path, "stopped"))


def test_a_supervisor_that_dies_with_facts_unread_loses_no_order(tmp_path: Path) -> None:
    _assert_drained(tmp_path, _killed_supervisor(tmp_path, "unread"))


ESCAPE = """
import asyncio, datetime, pathlib, signal, subprocess, sys
from stage import job, stage
from supervisor.logs import outputs

outputs.GRACE = datetime.timedelta(milliseconds=100)

async def main():
    async with stage(pathlib.Path(sys.argv[1])) as on:
        _, out, err = on.open(job(stop_timeout=0.1))
        on.write(job("warm"), b"up\\n")
        await on.eventually(lambda: on.text("warm.log"))
        escaped = subprocess.Popen(["sleep", "600"], stdout=out, stderr=err, start_new_session=True)
        print(on.logs.pid, escaped.pid, flush=True)
        signal.pause()

asyncio.run(main())
"""


def test_a_process_that_escaped_holds_up_the_end_no_longer_than_its_job_could_live(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", ESCAPE, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert supervisor.stdout is not None
    with supervisor.stdout as stdout:
        pid, escaped = map(int, stdout.readline().split())
    supervisor.kill()
    supervisor.wait()
    try:
        eventually(lambda: _is_gone(pid))
        assert not _is_gone(escaped)
    finally:
        end(escaped, signal.SIGKILL)
        end(pid, signal.SIGKILL)


@on_loop
async def test_reopen_goes_on_in_new_files_where_logrotate_has_moved_them(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        _, out, err = on.open(job(log=PLAIN))
        os.write(out, b"old\n")
        await on.eventually(lambda: on.text() == "old\n")
        (tmp_path / "web.log").rename(tmp_path / "moved")
        on.logs.reopen()
        await on.eventually((tmp_path / "web.log").exists)
        os.write(out, b"new\n")
        await on.eventually(lambda: on.text() == "new\n")
        assert on.text("moved") == "old\n"
        os.close(out)
        os.close(err)
