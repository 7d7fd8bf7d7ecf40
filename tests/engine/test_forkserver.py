"""The fork server and its supervisor: each outlives the other's death, and neither waits for a sick one for ever."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import children, eventually, is_alive
from rig import Rig, open_fds, real

from supervisor import linux
from supervisor.core.events import Exited, Spawned, SpawnFailed
from supervisor.core.exits import Code, Lost, Signalled
from supervisor.engine.births import LOT
from supervisor.engine.generation import Patience

CODE = """
import os, signal, subprocess, sys, time

def say(text):
    print(text, flush=True)

def sleeper():
    say("up")
    time.sleep(1000)

def done():
    pass

def family():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    say("up")
    time.sleep(1000)

def tidy(name):
    def ended(number, frame):
        open(name, "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, ended)
    say("up")
    time.sleep(1000)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("up")
    time.sleep(1000)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def below(pid: int) -> set[int]:
    found = children(pid)
    return found | {each for child in found for each in below(child)}


# -- the fork server dies ----------------------------------------------------------------------------------------------


def test_the_jobs_of_a_fork_server_that_died_are_lost_and_leave_nothing(rig: Rig) -> None:
    runs = [rig.run("family") for _ in range(3)]
    family = {pid for run_id in runs for pid in {rig.up(run_id)} | below(rig.up(run_id))}
    assert len(family) == 6
    old = rig.server
    os.kill(old, signal.SIGKILL)
    assert [rig.ended(run_id) for run_id in runs] == [Lost("the fork server died")] * 3
    assert not any(map(is_alive, family))
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)  # reaped, too
    assert eventually(lambda: rig.server != old)
    assert rig.ended(rig.run("done")) == Code(0)
    assert any("the fork server died" in warning for warning in rig.warned)


def test_a_run_that_no_fork_server_was_told_of_can_be_called_off(tmp_path: Path) -> None:
    go = tmp_path / "go"
    (tmp_path / "slow.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
    )
    with real(tmp_path, CODE, preload=["slow"]) as rig:
        stopped, killed, after = (rig.run("sleeper") for _ in range(3))
        rig.stop(stopped)
        rig.kill(killed)
        for run_id in (stopped, killed):
            failed = rig.fact(SpawnFailed, run_id).ended
            assert (failed.step, failed.message) == ("fork", "stopped before there was a process")
        go.touch()
        assert rig.up(after)
        assert rig.kinds(stopped) == rig.kinds(killed) == [SpawnFailed]


def test_orders_that_come_while_there_is_no_fork_server_wait_for_the_next(rig: Rig) -> None:
    rig.exited(rig.run("done"))
    os.kill(rig.server, signal.SIGSTOP)
    before = rig.run("sleeper")
    stopped = rig.run("sleeper")
    rig.stop(stopped)
    killed = rig.run("sleeper")
    rig.kill(killed)
    os.kill(rig.server, signal.SIGKILL)
    after = rig.run("sleeper")
    assert rig.up(before)
    assert rig.up(after)
    assert rig.ended(stopped) == Signalled(15)
    assert rig.ended(killed) == Signalled(9)
    assert rig.kinds(before) == rig.kinds(after) == [Spawned]
    assert rig.kinds(stopped) == rig.kinds(killed) == [Spawned, Exited]


def test_a_fork_that_was_not_yet_told_of_is_killed_and_reaped(rig: Rig) -> None:
    """Killed in the middle of a burst of starts, the fork server leaves forks that nobody has heard of."""
    server = rig.server
    rig.ended(rig.run("done"))
    mine = children(os.getpid())
    rig.call(lambda: [rig.spawn_here(rig.job("sleeper"), run_id) for run_id in range(100, 160)])
    eventually(lambda: len(children(server)) > 5)
    os.kill(server, signal.SIGKILL)
    eventually(lambda: rig.server != server)  # the jobs of the old one have been told of as lost
    eventually(lambda: all(rig.kinds(run_id)[-1:] in ([Spawned], [Exited]) for run_id in range(100, 160)))
    living = [run_id for run_id in range(100, 160) if rig.kinds(run_id) == [Spawned]]
    eventually(lambda: children(os.getpid()) - mine == {rig.server})
    assert len(children(rig.server)) == len(living)


def test_a_fork_server_that_dies_again_and_again_is_replaced_ever_more_slowly(rig: Rig) -> None:
    seen: list[tuple[int, float]] = []
    for _ in range(4):
        server = rig.server
        seen.append((server, float(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[19])))
        os.kill(server, signal.SIGKILL)
        eventually(
            lambda server=server: rig.call(
                lambda: rig.engine._servers.current is None or rig.engine._servers.current.pid != server
            )
        )
    assert rig.engine._servers.pacing.pause > 0.1
    assert rig.ended(rig.run("done")) == Code(0)


def test_fresh_code_that_is_adopted_while_a_dead_fork_server_waits_for_its_replacement_takes_its_place(
    rig: Rig,
) -> None:
    renewal = rig.wait(rig.engine.renew(path=(str(rig.folder),), preload=()))

    async def adopt_in_the_pause() -> None:
        rig.engine._servers.pacing.pause = 0.5
        dead = rig.engine._servers.current
        os.kill(dead.pid, signal.SIGKILL)
        await dead.gone.wait()
        rig.engine.adopt(renewal)
        await rig.engine._servers.replacing

    rig.wait(adopt_in_the_pause())
    assert rig.server == renewal.server.pid
    assert rig.ended(rig.run("done")) == Code(0)


def test_the_death_of_a_fork_server_leaves_one_with_fresh_code_alone(rig: Rig) -> None:
    renewal = rig.wait(rig.engine.renew(path=(str(rig.folder),), preload=()))
    dead = rig.server
    os.kill(dead, signal.SIGKILL)
    eventually(
        lambda: rig.call(lambda: rig.engine._servers.current is not None and rig.engine._servers.current.pid != dead)
    )
    rig.call(rig.engine.adopt, renewal)
    assert rig.server == renewal.server.pid
    assert rig.ended(rig.run("done")) == Code(0)


def test_an_end_in_the_midst_of_a_renewal_leaves_no_fork_server(tmp_path: Path) -> None:
    with real(tmp_path, CODE) as rig:
        renewal = rig.wait(rig.engine.renew(path=(str(rig.folder),), preload=()))
    assert not is_alive(renewal.server.pid)


def test_a_hung_fork_server_is_killed_and_replaced(tmp_path: Path) -> None:
    with real(tmp_path, CODE, patience=Patience(answer=1.5)) as rig:
        run_id = rig.run("sleeper")
        pid = rig.up(run_id)
        old = rig.server
        os.kill(old, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(rig.ended(run_id), Lost)
        assert eventually(lambda: rig.server != old)
        lines = rig.call(lambda: rig.engine.warnings)
        assert [each.partition(" (last at ")[0] for each in lines] == [
            "the fork server did not answer, and was killed",
            "the fork server died; its jobs are lost and start again",
        ]


def test_a_fork_server_starts_where_the_supervisor_has_more_than_a_thousand_descriptors(rig: Rig) -> None:
    """Its socket keeps the number that it has there, and ``select`` takes none over 1023."""
    rig.ended(rig.run("done"))
    with ExitStack() as held:
        for _ in range(1100):
            held.enter_context(Path(os.devnull).open("rb"))
        rig.call(rig.engine.adopt, rig.wait(rig.engine.renew(path=(str(rig.folder),), preload=())))
        assert rig.ended(rig.run("done")) == Code(0)


def test_a_fork_server_that_answers_is_left_alone(tmp_path: Path) -> None:
    with real(tmp_path, CODE, patience=Patience(answer=1)) as rig:
        rig.up(rig.run("sleeper"))
        server = rig.server
        assert rig.ended(rig.command("sleep", "1.2")) == Code(0)
        assert rig.ended(rig.command("sleep", "1.2")) == Code(0)
        assert rig.server == server
        assert rig.warned == []


def test_a_hung_fork_server_does_not_hold_up_a_start(tmp_path: Path) -> None:
    with real(tmp_path, CODE, patience=Patience(answer=1.5)) as rig:
        rig.ended(rig.run("done"))
        os.kill(rig.server, signal.SIGSTOP)
        assert rig.ended(rig.run("done")) == Code(0)


def test_a_hung_fork_server_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with real(tmp_path, CODE, patience=Patience(answer=1.5)) as rig:
        rig.ended(rig.run("done"))
        os.kill(rig.server, signal.SIGSTOP)
        rig.wait(rig.engine.close())


def test_a_fork_server_without_work_does_not_wake(rig: Rig) -> None:
    for _ in range(20):
        rig.up(rig.run("sleeper"))
    switches = Path(f"/proc/{rig.server}/status")

    def count() -> int:
        return int(switches.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def asleep() -> int:
        eventually(lambda: Path(f"/proc/{rig.server}/stat").read_text().rpartition(")")[2].split()[0] == "S")
        return count()

    before = asleep()
    done = rig.command("sleep", "1.5")
    eventually(lambda: rig.spawned(done))
    after_start = asleep()
    rig.ended(done)
    assert before < after_start <= count() <= after_start + 6


def test_the_fork_server_ignores_what_a_terminal_sends(rig: Rig) -> None:
    run_id = rig.run("sleeper")
    rig.up(run_id)
    server = rig.server
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(server, number)
    assert rig.ended(rig.run("done")) == Code(0)
    assert rig.server == server
    assert os.getsid(server) == server


def test_the_engine_installs_no_signal_handler_and_leaves_no_descriptor(tmp_path: Path) -> None:
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    fds = open_fds()
    with real(tmp_path, CODE) as rig:
        rig.ended(rig.run("done"))
        os.kill(rig.server, signal.SIGKILL)
        rig.ended(rig.run("done"))
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    assert open_fds() == fds


# -- the supervisor dies -----------------------------------------------------------------------------------------------

SUPERVISOR = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}]
import rig
with rig.real(Path({folder!r}), {code!r}) as made:
    runs = [made.run("tidy", "tidied", stop_timeout=5), made.run("stubborn", stop_timeout=0.3),
            made.run("stubborn", stop_timeout=0), made.run("family", stop_timeout=5)]
    for run in runs:
        made.up(run)
    print(made.server, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def doomed(tmp_path: Path) -> "Iterator[tuple[subprocess.Popen[str], int, set[int]]]":
    """A supervisor in a process of its own, its fork server, and all that is below."""
    here = Path(__file__).parent
    script = SUPERVISOR.format(tests=str(here.parent), here=str(here), folder=str(tmp_path), code=CODE)
    linux.adopt_orphans()
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        family = below(process.pid)
        assert len(family) == 6
        try:
            yield process, server, family
        finally:
            process.kill()
            for pid in family:
                eventually(lambda pid=pid: not is_alive(pid))
            reap(family)


def reap(pids: set[int]) -> None:
    for pid in pids & children(os.getpid()):
        os.waitpid(pid, 0)


def test_a_killed_supervisors_jobs_are_stopped_by_their_own_rules(
    tmp_path: Path, doomed: "tuple[subprocess.Popen[str], int, set[int]]"
) -> None:
    process, server, family = doomed
    process.kill()
    eventually(lambda: not any(map(is_alive, family)))
    assert (tmp_path / "tidied").exists()
    assert not is_alive(server)


AMIDST_ORDERS = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}]
import rig
with rig.real(Path({folder!r}), {code!r}) as made:
    made.ended(made.run("done"))
    os.kill(made.server, signal.SIGSTOP)
    made.call(lambda: [made.spawn_here(made.job("sleeper"), run_id) for run_id in range(1000, 1060)])
    print(made.server, flush=True)
    sys.stdin.read()
"""


def test_a_fork_server_whose_supervisor_dies_amidst_its_orders_ends_all_that_it_has_made(tmp_path: Path) -> None:
    here = Path(__file__).parent
    script = AMIDST_ORDERS.format(tests=str(here.parent), here=str(here), folder=str(tmp_path), code=CODE)
    linux.adopt_orphans()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        process.kill()
    try:
        eventually(lambda: not is_alive(server))
    finally:
        left = below(server) | {server}
        for pid in filter(is_alive, left):
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            eventually(lambda pid=pid: not is_alive(pid))
        reap(left)


def test_a_stopped_fork_server_wakes_when_its_supervisor_dies(
    tmp_path: Path, doomed: "tuple[subprocess.Popen[str], int, set[int]]"
) -> None:
    process, server, family = doomed
    os.kill(server, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    process.kill()
    eventually(lambda: not any(map(is_alive, family)))
    assert (tmp_path / "tidied").exists()


def test_when_both_die_no_first_process_of_a_job_is_left(
    doomed: "tuple[subprocess.Popen[str], int, set[int]]",
) -> None:
    process, server, family = doomed
    leaders = children(server)
    process.send_signal(signal.SIGSTOP)  # so that it cannot start another
    os.kill(server, signal.SIGKILL)
    process.kill()
    eventually(lambda: not any(map(is_alive, leaders)))
    for pid in family:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)  # what only a cgroup ends


def test_a_renewal_that_is_cancelled_leaves_no_fork_server(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nwhile True: time.sleep(1)\n")
    mine = children(os.getpid())
    renewing = asyncio.run_coroutine_threadsafe(rig.engine.renew(path=(str(tmp_path),), preload=("endless",)), rig.loop)
    eventually(lambda: children(os.getpid()) - mine)
    renewing.cancel()
    eventually(lambda: children(os.getpid()) == mine)
    assert rig.ended(rig.run("done")) == Code(0)


COUNTS = """
import os, time
def notes():
    with open("begun", "a") as begun:
        print(os.environ["JOBVISOR_RUN_ID"], file=begun)

def counts():
    notes()
    time.sleep(1000)
"""


@contextmanager
def silenced(pid: int, *, word: int = 1) -> Iterator[Callable[[], bool]]:
    """Have a fork server stop in the place of one of its next words; give what tells that it has. It has to be ended.

    strace goes with whom it traces.
    """
    with tempfile.NamedTemporaryFile("r") as told:
        meddle = f"inject=sendmsg:error=EAGAIN:signal=SIGSTOP:when={word}"
        command = ["strace", "-o", told.name, "-e", meddle, "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            assert strace.stderr.readline() == f"strace: Process {pid} attached\n"
            yield lambda: "stopped by SIGSTOP" in Path(told.name).read_text()


def begun(folder: Path) -> list[int]:
    """Return the runs whose function has begun, in order, as often as it has."""
    path = folder / "begun"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


stops_it = pytest.mark.skipif(shutil.which("strace") is None, reason="strace stops it between its fork and its word")


@stops_it
def test_a_run_that_a_hung_fork_server_has_begun_without_telling_is_lost_and_not_begun_again(tmp_path: Path) -> None:
    with real(tmp_path, COUNTS, patience=Patience(answer=1.5)) as rig:
        rig.ended(rig.command("true"))
        with silenced(rig.server):
            run_id = rig.run("counts")
            eventually(lambda: begun(tmp_path))
            assert rig.ended(run_id) == Lost("the fork server died")
        again = rig.run("counts")
        eventually(lambda: begun(tmp_path) == [run_id, again])


@stops_it
def test_a_run_that_a_killed_fork_server_has_begun_without_telling_is_lost_and_not_begun_again(tmp_path: Path) -> None:
    with real(tmp_path, COUNTS) as rig:
        rig.ended(rig.command("true"))
        server = rig.server
        with silenced(server) as is_silent:
            run_id = rig.run("counts")
            eventually(lambda: begun(tmp_path))
            eventually(is_silent)
            waiting = rig.run("counts")
            os.kill(server, signal.SIGKILL)
            assert rig.ended(run_id) == Lost("the fork server died")
        eventually(lambda: begun(tmp_path) == [run_id, waiting])
        eventually(lambda: rig.kinds(waiting) == [Spawned])


@stops_it
@pytest.mark.parametrize("word", [1, 2, 5])
def test_of_many_orders_only_those_are_lost_that_a_killed_fork_server_has_begun_without_telling(
    tmp_path: Path, word: int
) -> None:
    """It falls silent at some word of it, in the midst of them."""
    runs = range(1000, 1500)
    with real(tmp_path, COUNTS) as rig:
        rig.ended(rig.command("true"))
        server = rig.server
        with silenced(server, word=word) as is_silent:
            rig.call(lambda: [rig.spawn_here(rig.job("notes"), run_id) for run_id in runs])
            eventually(is_silent)
            os.kill(server, signal.SIGKILL)
            eventually(lambda: all(rig.kinds(run_id)[-1:] == [Exited] for run_id in runs), within=60)
        ends = Counter(rig.ended(run_id) for run_id in runs)
        assert ends.keys() <= {Code(0), Lost("the fork server died")}
        untold = [run_id for run_id in runs if rig.kinds(run_id) == [Exited]]
        assert {rig.ended(run_id) for run_id in untold} == {Lost("the fork server died")}
        assert 1 <= len(untold) <= LOT
        assert max(Counter(begun(tmp_path)).values()) == 1
        assert set(runs) - set(begun(tmp_path)) <= {run_id for run_id in runs if rig.ended(run_id) != Code(0)}


def test_a_job_does_not_have_the_memory_in_which_its_fork_server_notes_what_it_has_begun(rig: Rig) -> None:
    job = rig.up(rig.run("sleeper"))
    assert "memfd:marker" in Path(f"/proc/{rig.server}/maps").read_text()
    assert "memfd:marker" not in Path(f"/proc/{job}/maps").read_text()
