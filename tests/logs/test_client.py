"""The client: descriptors in order, a log process that dies or stands still, last lines, an end in time."""
# ruff: noqa: ASYNC220, ASYNC240  # nobody else needs a test's loop while it looks at a file

import asyncio
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from stage import Stage, job, numbered, on_loop, stage

from supervisor import helpers
from supervisor.core.job import Job, LogFiles, LogMode
from supervisor.journal import SOCKET
from supervisor.logs import client, condition
from supervisor.logs.process import MOST_ENDED

APART = LogFiles(timestamps=False, merge_stderr=False)


def descriptors(pid: int | str | None = "self") -> set[str]:
    return {fd.name for fd in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for what is sure to come, as the machine may be busy."""
    monkeypatch.setattr(client, "END_WITHIN", timedelta(minutes=1))
    monkeypatch.setattr(client, "ANSWER_WITHIN", timedelta(minutes=1))


@contextmanager
def room_for(more: int) -> Iterator[None]:
    """Leave room for so many more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 50, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(more):
            os.close(held.pop())
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- descriptors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", [LogFiles(), APART, *LogMode])
@on_loop
async def test_no_child_inherits_what_open_returns(tmp_path: Path, log: LogFiles | LogMode) -> None:
    async with stage(tmp_path) as on:
        _, out, err = on.open(job(log=log))
        assert out != err
        assert not os.get_inheritable(out)
        assert not os.get_inheritable(err)
        os.close(out)
        os.close(err)


@on_loop
async def test_null_is_the_null_device_and_inherit_is_our_own_output(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        null = os.open(os.devnull, os.O_WRONLY)
        for log, expected in ((LogMode.NULL, (null, null)), (LogMode.INHERIT, (1, 2))):
            _, *ends = on.open(job(log=log))
            for fd, same in zip(ends, expected, strict=True):
                assert os.path.samestat(os.fstat(fd), os.fstat(same))
                os.close(fd)
        os.close(null)
        assert list(tmp_path.iterdir()) == []


def refused_or_open(on: Stage, job: Job) -> tuple[int, ...]:
    """Return the ends, none where there were no descriptors for them."""
    try:
        return on.open(job)[1:]
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return ()


@pytest.mark.parametrize("log", [LogFiles(), APART, LogMode.NULL, LogMode.INHERIT])
@on_loop
async def test_an_open_without_descriptors_fails_cleanly_and_leaks_none(
    tmp_path: Path, log: LogFiles | LogMode
) -> None:
    async with stage(tmp_path) as on:
        await on.eventually(lambda: on.logs.pid)
        before = descriptors()
        for room in range(10):
            with room_for(room):
                ends = refused_or_open(on, job(log=log))
                for fd in ends:
                    os.close(fd)
            if ends:
                break
            await on.eventually(lambda: descriptors() == before)
        assert ends
        assert room > 0
        on.write(job("after"), b"well\n")
        await on.eventually(lambda: on.text("after.log") == "well\n")


@on_loop
async def test_a_run_that_has_ended_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job(), b"first\n")
        await on.eventually(lambda: on.text() and not on.logs._outputs.runs)
        ours = descriptors()
        theirs = descriptors(on.logs.pid)
        for number in range(300):
            on.write(job(log=APART if number % 2 else LogFiles()), b"line\n")
            await on.eventually(lambda: not on.logs._outputs.runs)
        assert descriptors() == ours
        assert descriptors(on.logs.pid) == theirs


@on_loop
async def test_a_burst_of_a_thousand_runs_is_taken_without_waiting(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for number in range(1000):
            on.write(job(f"job{number}"), b"line\n")
        await on.eventually(lambda: not on.logs._outputs.runs)
        assert len(list(tmp_path.iterdir())) == 1000


# -- a log process that dies or stands still ---------------------------------------------------------------------------

STEPS = """
import os
step = 0
while os.read(0, 1):
    os.write(1, b"line %d\\n" % step)
    step += 1
"""


ENDLESS = """
import os, sys
number = 0
while number % 1000 or not os.path.exists(sys.argv[1]):
    print("line", number)
    number += 1
print("end", number)
"""


@on_loop
async def test_the_next_log_process_takes_over_every_pipe_and_no_job_gets_sigpipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as on:
        _, out, err = on.open(job())
        gate, step = os.pipe()
        writer = subprocess.Popen([sys.executable, "-S", "-c", STEPS], stdin=gate, stdout=out, stderr=err)
        for fd in (out, err, gate):
            os.close(fd)
        for deaths in range(3):
            os.write(step, b"." * 10)
            await on.eventually(lambda deaths=deaths: on.text().count("\n") == 10 * deaths + 10)
            await on.kill_log_process()
        os.write(step, b"." * 10)
        os.close(step)
        await on.eventually(lambda: writer.poll() == 0)
        await on.eventually(lambda: not on.logs._outputs.runs)
        assert on.text().splitlines() == [f"line {number}" for number in range(40)]
        assert len(on.warned) == 3
        [warning] = on.logs.warnings
        assert "replaced 3 times" in warning
        assert "SIGKILL" in warning
        monkeypatch.setattr(condition, "RECENT", timedelta(0))
        assert on.logs.warnings == ()


@on_loop
async def test_output_that_ends_while_there_is_no_log_process_is_in_the_file(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        pid = on.logs.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        on.write(job(), b"in between\n")
        on.write(job("apart", APART), b"this too\n")
        await on.eventually(lambda: (on.text(), on.text("apart.log")) == ("in between\n", "this too\n"))
        await on.eventually(lambda: not on.logs._outputs.runs)


@pytest.mark.parametrize("max_size", [10**9, 1_000_000])
@on_loop
async def test_a_flood_over_deaths_of_the_log_process_is_in_the_files_line_by_line(
    tmp_path: Path, max_size: int
) -> None:
    async with stage(tmp_path) as on:
        to = LogFiles(timestamps=False, max_size=max_size, keep=1000)
        _, process = on.run(job(log=to), ENDLESS, str(tmp_path / "enough"))
        path = tmp_path / "web.log"
        for _ in range(3):
            was = path.stat() if path.exists() else None
            await on.eventually(lambda was=was: on.logs.pid and path.exists() and path.stat() != was)
            await on.kill_log_process()
        (tmp_path / "enough").touch()
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: not on.logs._outputs.runs)
        *lines, last = numbered(path)
        assert lines == [f"line {number}" for number in range(len(lines))]
        assert last == f"end {len(lines)}"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace ends a process at a system call of its")
@on_loop
async def test_at_whatever_system_call_it_is_killed_every_line_is_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "STEADY_AFTER", 0.0)  # each is replaced at once
    async with stage(tmp_path) as on:
        to = LogFiles(timestamps=False, max_size=100_000, keep=100_000)
        _, process = on.run(job(log=to), ENDLESS, str(tmp_path / "enough"))
        path = tmp_path / "web.log"
        for call in range(1, 21):
            was = path.stat() if path.exists() else None
            await on.eventually(lambda was=was: on.logs.pid and path.exists() and path.stat() != was)
            pid = on.logs.pid
            kill = f"inject=all:signal=SIGKILL:when={call}"
            with subprocess.Popen(["strace", "-qq", "-o", os.devnull, "-e", kill, "-p", f"{pid}"]) as strace:
                await on.eventually(lambda pid=pid: on.logs.pid != pid)
                await on.eventually(lambda strace=strace: strace.poll() is not None)
        (tmp_path / "enough").touch()
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: not on.logs._outputs.runs)
        *lines, last = numbered(path)
        assert lines == [f"line {number}" for number in range(len(lines))]
        assert last == f"end {len(lines)}"


@on_loop
async def test_a_log_process_that_dies_at_once_is_tried_ever_less_often(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for _ in range(4):
            await on.kill_log_process()
        assert on.logs._pacing.pause > 4 * helpers.FIRST_PAUSE
        on.write(job(), b"after all\n")
        await on.eventually(lambda: on.text() == "after all\n")


@on_loop
async def test_a_stopped_log_process_holds_up_the_job_that_writes_and_not_the_supervisor(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job("warm"), b"up\n")
        await on.eventually(lambda: on.text("warm.log"))
        pid = on.logs.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            _, process = on.run(job(), "import os; os.write(1, b'x' * 300_000 + b'\\n'); os.write(1, b'end\\n')")
            runs = [on.write(job(f"job{number}"), b"line\n") for number in range(500)]
            stack = Path(f"/proc/{process.pid}/wchan")
            await on.eventually(lambda: "pipe_write" in stack.read_text() or process.poll() is not None)
            assert process.poll() is None
            assert await on.logs.tail(runs[0]) == []
        finally:
            os.kill(pid, signal.SIGCONT)
        await on.eventually(lambda: process.poll() == 0)
        await on.eventually(lambda: not on.logs._outputs.runs)
        assert on.text().endswith("end\n")
        assert len(list(tmp_path.glob("job*.log"))) == 500


@on_loop
async def test_a_log_process_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(program))
    async with stage(tmp_path / "logs") as on:
        on.write(job(), b"patience\n")
        await on.eventually(lambda: on.warned)
        assert "cannot start the log process: No such file or directory" in on.warned[0]
        program.symlink_to(os.path.realpath("/proc/self/exe"))
        monkeypatch.undo()
        await on.eventually(lambda: on.text() == "patience\n")


# -- last lines --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
@on_loop
async def test_tail_waits_for_the_end_of_a_runs_output(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        program = "for number in range(200): print('line', number)\nraise SystemExit('the last words')"
        run_id, process = on.run(job(), program)
        await on.eventually(lambda: process.poll() == 1)
        assert await on.logs.tail(run_id) == [*(f"line {number}" for number in range(151, 200)), "the last words"]


@pytest.mark.usefixtures("patient")
@on_loop
async def test_tail_has_the_lines_of_both_streams_without_times(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        run_id, out, err = on.open(job(log=LogFiles(merge_stderr=False)))
        os.write(out, b"out\n")
        await on.eventually(on.text)
        os.write(err, b"err\n")
        os.close(out)
        os.close(err)
        assert await on.logs.tail(run_id) == ["out", "err"]


@on_loop
async def test_tail_of_a_run_whose_pipe_is_held_open_comes_all_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        run_id, out, err = on.open(job())
        os.write(out, b"still here\n")
        await on.eventually(on.text)
        assert await on.logs.tail(run_id) == ["still here"]
        os.close(out)
        os.close(err)


@on_loop
async def test_the_last_lines_of_a_run_are_kept_until_a_later_run_of_its_slot_has_ended(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        first = on.write(job(), b"first\n")
        assert await on.logs.tail(first) == ["first"]
        second, out, err = on.open(job())
        on.write(job("other"), b"other\n")
        other_lane = on.open(job(), lane=1)
        os.close(other_lane[1])
        os.close(other_lane[2])
        await on.eventually(lambda: len(on.logs._outputs.runs) == 1)
        assert await on.logs.tail(first) == ["first"]
        os.close(out)
        os.close(err)
        assert await on.logs.tail(second) == []
        assert await on.logs.tail(first) == []


@pytest.mark.usefixtures("patient")
@on_loop
async def test_last_lines_are_kept_of_so_many_slots_and_unknown_runs_have_none(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        first = on.write(job("job0"), b"line\n")
        assert await on.logs.tail(first) == ["line"]
        later = [on.write(job(f"job{number}"), b"line\n") for number in range(1, MOST_ENDED)]
        assert await on.logs.tail(later[-1]) == ["line"]
        assert await on.logs.tail(first) == ["line"]
        last = on.write(job("one more"), b"line\n")
        assert await on.logs.tail(last) == ["line"]
        assert await on.logs.tail(first) == []
        assert await on.logs.tail(later[0]) == ["line"]
        assert await on.logs.tail(99_999) == []


@on_loop
async def test_a_tail_that_is_asked_when_the_log_process_dies_is_answered(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        run_id = on.write(job(), b"line\n")
        assert await on.logs.tail(run_id) == ["line"]
        assert on.logs.pid is not None
        os.kill(on.logs.pid, signal.SIGKILL)
        assert await on.logs.tail(run_id) == []


# -- trouble -----------------------------------------------------------------------------------------------------------


@on_loop
async def test_status_says_how_many_lines_a_sick_disk_has_cost_until_it_is_well(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    async with stage(tmp_path / "logs") as on:
        _, out, err = on.open(job())
        os.write(out, b"one\ntwo\n")
        await on.eventually(lambda: on.logs.warnings)
        [warning] = on.logs.warnings
        assert warning.startswith("log: 2 lines of web dropped: Not a directory since 2")
        os.write(out, b"three\n")
        await on.eventually(lambda: "3 lines of web" in on.logs.warnings[0])
        assert len(on.warned) == 1
        (tmp_path / "logs").unlink()
        os.write(out, b"four\n")
        await on.eventually(lambda: not on.logs.warnings)
        assert on.warned[-1].endswith(": over")
        assert on.text() == "[jobvisor] 3 lines lost here: Not a directory\nfour\n"
        os.close(out)
        os.close(err)


@on_loop
async def test_one_file_that_cannot_be_written_costs_no_other_job_a_line(tmp_path: Path) -> None:
    (tmp_path / "sick.log").mkdir()
    async with stage(tmp_path) as on:
        on.write(job("sick"), b"lost\n")
        on.write(job("well"), b"kept\n")
        await on.eventually(lambda: on.text("well.log") == "kept\n")
        await on.eventually(lambda: "1 lines of sick dropped: Is a directory" in "".join(on.logs.warnings))


# -- the end -----------------------------------------------------------------------------------------------------------


@on_loop
async def test_close_waits_until_everything_is_written(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for number in range(50):
            on.write(job(f"job{number}"), b"line\n" * 1000)
        pid = on.logs.pid
    assert all(path.read_text() == "line\n" * 1000 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 50
    assert not Path(f"/proc/{pid}").exists()


@on_loop
async def test_close_does_not_wait_for_a_pipe_that_somebody_holds_open(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        _, out, err = on.open(job())
        os.write(out, b"what there is")
        began = asyncio.get_running_loop().time()
        await on.logs.close()
        assert asyncio.get_running_loop().time() - began < client.CLOSE_WITHIN.total_seconds()
        assert on.text() == "what there is\n"
        os.close(out)
        os.close(err)


@on_loop
async def test_close_of_a_client_whose_log_process_has_just_died_writes_what_is_left(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        on.write(job("warm"), b"up\n")
        await on.eventually(lambda: on.text("warm.log"))
        for _ in range(2):
            await on.kill_log_process()
        on.write(job(), b"left\n")
    assert on.text() == "left\n"


def test_a_slot_is_named_as_people_name_it() -> None:
    assert job("web").label(1) == "web"
    assert job("web", instances=2).label(2) == "web:2"


@on_loop
async def test_a_stopped_log_process_is_continued_and_said(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.eventually(lambda: on.logs.pid)
        assert on.logs.pid is not None
        os.kill(on.logs.pid, signal.SIGSTOP)
        on.logs.check()
        await on.eventually(lambda: on.warned)
        assert "has not answered since" in on.warned[0]
        await on.eventually(lambda: "log: the log process answers again" in on.warned)
        assert on.logs.warnings == ()


@pytest.mark.usefixtures("patient")
@on_loop
async def test_a_log_process_that_answers_is_left_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.eventually(lambda: on.logs.pid)
        on.logs.check()
        await on.eventually(lambda: on.logs._overdue is None)
        assert on.warned == []


# -- the journal -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(Path(SOCKET).exists(), reason="there is a journald here")
@pytest.mark.usefixtures("patient")
@on_loop
async def test_output_for_a_journald_that_is_not_there_is_counted_and_its_last_lines_are_kept(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        run_id = on.write(job(log=LogMode.JOURNAL), b"one\n<3>two\n")
        await on.eventually(lambda: on.logs.warnings)
        assert on.logs.warnings[0].startswith("log: 2 lines of web dropped: journal: No such file or directory since ")
        assert await on.logs.tail(run_id) == ["one", "<3>two"]
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(Path(SOCKET).exists(), reason="there is a journald here")
@pytest.mark.usefixtures("patient")
@on_loop
async def test_another_log_process_knows_what_goes_to_the_journal(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        run_id, out, err = on.open(job(log=LogMode.JOURNAL))
        await on.kill_log_process()
        os.write(out, b"after\n")
        os.close(out)
        os.close(err)
        await on.eventually(lambda: any("1 lines of web dropped: journal:" in each for each in on.logs.warnings))
        assert await on.logs.tail(run_id) == ["after"]
