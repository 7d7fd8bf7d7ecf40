"""The stacks of a living job: told without stopping it, and recorded before it is stopped because it takes too long."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import children, eventually, is_alive
from rig import Rig, real

from supervisor.core.exits import Signalled
from supervisor.engine.stack import MOST, NONE, without_engine

CODE = """
import os, signal, subprocess, sys, threading, time
from multiprocessing import get_context
from supervisor import Worker

def say(text):
    print(text, flush=True)

def sleeper():
    nap()

def nap():
    say("up")
    time.sleep(1000)

def threads():
    for _ in range(3):
        threading.Thread(target=in_a_thread, daemon=True).start()
    nap()

def in_a_thread():
    time.sleep(1000)

def spins():
    say("up")
    while True:
        pass

def counts():
    say("up")
    number = 0
    while True:
        time.sleep(0.01)
        number += 1
        say(number)

def blocks():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 7})
    nap()

def ignores():
    signal.signal(signal.SIGRTMIN + 7, signal.SIG_IGN)
    nap()

def becomes_another():
    say("up")
    os.execvp("sleep", ["sleep", "1000"])

def shuts_all():
    os.closerange(3, 100)
    nap()

def reuses_the_number():
    os.closerange(3, 100)
    opened = [os.open("precious", os.O_RDWR | os.O_CREAT, 0o600) for _ in range(5)]
    assert 4 in opened
    nap()

def many():
    for _ in range(300):
        threading.Thread(target=in_a_thread, daemon=True).start()
    nap()

def with_a_child():
    subprocess.Popen(["sleep", "1000"], close_fds=False)
    nap()

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    nap()

class Idle(Worker):
    def tick(self):
        nap()
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def stack(rig: Rig, run_id: int) -> str:
    text: str = rig.wait(rig.engine.stack(run_id))
    return text


def asleep(rig: Rig, run_id: int) -> int:
    """Return the pid of a run once all its threads sleep: the one that has said that it is up may yet have to."""
    pid = rig.up(run_id)
    eventually(lambda: all("nanosleep" in each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/wchan")))
    return pid


def line_of(text: str) -> int:
    return CODE.splitlines().index(text) + 1


def test_the_stack_is_the_jobs_own_frames_innermost_first(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    asleep(rig, run_id)
    head, *frames = stack(rig, run_id).splitlines()
    assert head.endswith("(most recent call first):")
    path = rig.folder / "acts.py"
    assert frames == [
        f'  File "{path}", line {line_of("    time.sleep(1000)")} in nap',
        f'  File "{path}", line {line_of("    nap()")} in sleeper',
    ]


def test_every_thread_is_told(rig: Rig) -> None:
    run_id = rig.run("threads")
    asleep(rig, run_id)
    text = stack(rig, run_id)
    assert text.count("in in_a_thread") == 3
    assert text.count(" in nap") == 1
    assert text.count("most recent call first") == 4


def test_the_job_goes_on_and_its_stack_can_be_had_again_and_again(rig: Rig) -> None:
    run_id = rig.run("counts")
    pid = rig.up(run_id)
    for _ in range(5):
        assert "in counts" in stack(rig, run_id)
        seen = len(rig.out(run_id))
        eventually(lambda seen=seen: len(rig.out(run_id)) > seen)
    assert is_alive(pid)


def test_a_job_that_never_lets_go_of_the_interpreter_is_told_too(rig: Rig) -> None:
    run_id = rig.run("spins")
    rig.up(run_id)
    assert " in spins" in stack(rig, run_id)


def test_two_who_ask_at_once_are_told_the_same(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    asleep(rig, run_id)

    async def ask_twice() -> list[str]:
        first, second = rig.loop.create_task(rig.engine.stack(run_id)), rig.loop.create_task(rig.engine.stack(run_id))
        return [await first, await second]

    first, second = rig.wait(ask_twice())
    assert first == second
    assert first.count(" in nap") == 1


def test_a_worker_shows_whether_it_waits_or_ticks(rig: Rig) -> None:
    run_id = rig.run("Idle")
    rig.serving(run_id)
    assert "workshop.py" in stack(rig, run_id)
    rig.tick(run_id)
    asleep(rig, run_id)
    assert " in tick\n" in stack(rig, run_id)


@pytest.mark.parametrize("target", ["blocks", "ignores", "becomes_another", "shuts_all"])
def test_a_job_that_took_the_means_away_has_none_and_is_not_harmed(rig: Rig, target: str) -> None:
    run_id = rig.run(target)
    pid = rig.up(run_id)
    if target == "becomes_another":
        eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert stack(rig, run_id) == NONE
    assert is_alive(pid)
    rig.kill(run_id)
    assert rig.ended(run_id) == Signalled(9)


def test_a_file_that_the_job_has_opened_by_that_number_is_not_written_to(rig: Rig) -> None:
    run_id = rig.run("reuses_the_number")
    rig.up(run_id)
    assert stack(rig, run_id) == NONE
    rig.kill(run_id, dump=True)
    assert rig.ended(run_id) == Signalled(9)
    assert (rig.folder / "precious").read_bytes() == b""


def test_a_stopped_process_has_none_in_time_and_one_when_it_goes_on(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    pid = asleep(rig, run_id)
    os.kill(pid, signal.SIGSTOP)
    assert stack(rig, run_id) == NONE
    os.kill(pid, signal.SIGCONT)
    assert " in nap" in stack(rig, run_id)


def test_a_command_has_none_and_never_gets_the_signal(rig: Rig) -> None:
    run_id = rig.command("sh", "-c", "echo up; exec sleep 1000")
    pid = rig.up(run_id)
    assert stack(rig, run_id) == NONE
    assert is_alive(pid)
    rig.stop(run_id, dump=True)
    assert rig.ended(run_id) == Signalled(15)
    assert rig.stacks == []


def test_a_run_that_is_over_has_none(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    rig.up(run_id)
    rig.kill(run_id)
    rig.exited(run_id)
    assert stack(rig, run_id) == NONE


def test_a_dump_of_many_threads_is_cut_and_holds_nobody_up(rig: Rig) -> None:
    run_id = rig.run("many")
    pid = asleep(rig, run_id)
    assert 1000 < len(stack(rig, run_id)) <= MOST
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)
    assert not is_alive(pid)


def test_what_a_job_starts_does_not_inherit_the_pipe(rig: Rig) -> None:
    run_id = rig.run("with_a_child")
    pid = rig.up(run_id)
    [child] = eventually(lambda: children(pid))
    eventually(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    pipe = Path(f"/proc/{pid}/fd/4").readlink()
    assert str(pipe).startswith("pipe:")
    assert pipe not in {fd.readlink() for fd in Path(f"/proc/{child}/fd").iterdir() if fd.is_symlink()}


def test_a_stop_with_a_dump_reports_the_stacks_first(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    asleep(rig, run_id)
    rig.stop(run_id, dump=True)
    assert rig.ended(run_id) == Signalled(15)
    [(of, text)] = rig.stacks
    assert of == run_id
    assert " in sleeper" in text


def test_a_kill_with_a_dump_reports_where_the_job_hung_in_its_stop(rig: Rig) -> None:
    run_id = rig.run("stubborn")
    asleep(rig, run_id)
    rig.stop(run_id)
    rig.kill(run_id, dump=True)
    assert rig.ended(run_id) == Signalled(9)
    assert [of for of, text in rig.stacks if " in stubborn" in text] == [run_id]


def test_a_stopped_process_is_killed_with_a_dump_within_a_second_or_so(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    os.kill(asleep(rig, run_id), signal.SIGSTOP)
    rig.kill(run_id, dump=True)
    assert rig.ended(run_id) == Signalled(9)
    assert rig.stacks == [(run_id, NONE)]


def test_a_kill_does_not_wait_for_a_dump_under_way(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    os.kill(asleep(rig, run_id), signal.SIGSTOP)
    rig.call(lambda: [rig.engine.kill(run_id, dump=True), rig.engine.kill(run_id)])
    assert rig.ended(run_id) == Signalled(9)


def test_a_hundred_dumps_at_once_take_no_longer_than_one(rig: Rig) -> None:
    run_ids = [rig.run("sleeper") for _ in range(100)]
    for run_id in run_ids:
        asleep(rig, run_id)
    rig.call(lambda: [rig.engine.kill(run_id, dump=True) for run_id in run_ids])
    for run_id in run_ids:
        assert rig.ended(run_id) == Signalled(9)
    assert sorted(of for of, text in rig.stacks if " in sleeper" in text) == run_ids


def test_the_engines_frames_are_left_out_of_each_thread() -> None:
    dump = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/app/jobs/a.py", line 1 in wait\n'
        "\n"
        "Current thread 0x2 (most recent call first):\n"
        '  File "/app/jobs/a.py", line 2 in run\n'
        '  File "/venv/supervisor/engine/child.py", line 3 in _run\n'
        '  File "/usr/lib/python3.11/multiprocessing/process.py", line 4 in run\n'
    )
    assert without_engine(dump).splitlines() == [*dump.splitlines()[:5]]
