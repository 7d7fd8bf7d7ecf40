"""A stop or an end leaves nothing of a job, however far its processes have gone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import children, eventually, is_alive
from delegated import delegated
from rig import Rig, real

from supervisor.core.exits import Code, Signalled
from supervisor.engine import containment, tree

CODE = '''
import os, signal, subprocess, sys, time
from supervisor import Worker

def say(text):
    print(text, flush=True)

def note(name):
    with open(name + ".tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename(name + ".tmp", name)

def leaves_a_session():
    """Its child has a session of its own and lives on."""
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.Popen(["sleep", "1000"])
    say("up")
    time.sleep(1000)

def ends_and_leaves():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    say("up")

def forks_away(then=1000):
    """A fork that never execs, twice removed, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note("far")
            time.sleep(1000)
        os._exit(0)
    os.wait()
    while not os.path.exists("far"):
        time.sleep(0.01)
    say("up")
    time.sleep(then)

def hides():
    """No environment, no session, no parent of the job's: only who has seen it before the stop knows it."""
    subprocess.Popen(["env", "-i", "/bin/sh", "-c", "exec setsid /bin/sleep 1000"])
    say("up")
    time.sleep(1000)

class Starts(Worker):
    def tick(self):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        if os.fork() == 0:
            subprocess.Popen(["sleep", "1001"], start_new_session=True)
            os._exit(0)
        os.wait()

def stopped():
    def ended(number, frame):
        say("term")
        sys.exit(0)
    signal.signal(signal.SIGTERM, ended)
    say("up")
    time.sleep(1000)

def hands_over():
    """Ends, while its group still has a member that takes its time."""
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"])
    say("up")
    time.sleep(1000)
'''


@pytest.fixture(params=["with a cgroup", "without"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "without":
        with real(tmp_path, CODE) as made:
            yield made
        return
    with delegated(tmp_path) as cgroup, real(tmp_path, CODE, cgroup=cgroup) as made:
        yield made


def below(pid: int) -> set[int]:
    found = children(pid)
    return found | {each for child in found for each in below(child)}


def gone(rig: Rig) -> None:
    """Nothing below the fork server is alive; what it adopted is reaped a little later."""
    assert not any(map(is_alive, children(rig.server)))
    eventually(lambda: not children(rig.server))


def test_a_stop_ends_children_in_the_group_and_out_of_it(rig: Rig) -> None:
    run_id = rig.run("leaves_a_session")
    family = below(rig.up(run_id))
    assert len(family) == 2
    rig.stop(run_id)
    assert rig.ended(run_id) == Signalled(15)
    assert not any(map(is_alive, family))
    gone(rig)


def test_an_end_by_itself_leaves_nothing_either(rig: Rig) -> None:
    run_id = rig.run("ends_and_leaves")
    assert rig.ended(run_id) == Code(0)
    gone(rig)


def test_what_is_left_in_the_midst_of_its_exec_is_ended_too(rig: Rig) -> None:
    for _ in range(25):
        assert rig.ended(rig.run("ends_and_leaves")) == Code(0)
        assert children(rig.server) == set()


def test_a_process_without_an_environment_is_nobodys() -> None:
    with subprocess.Popen(["sleep", "1000"], env={}) as bare:
        try:
            eventually(lambda: Path(f"/proc/{bare.pid}/cmdline").read_bytes().startswith(b"sleep"))
            assert not Path(f"/proc/{bare.pid}/environ").read_bytes()
            assert containment.run_of(bare.pid) is None
        finally:
            bare.kill()


def test_a_killed_job_leaves_nothing(rig: Rig) -> None:
    run_id = rig.run("leaves_a_session")
    pid = rig.up(run_id)
    family = below(pid)
    os.kill(pid, signal.SIGKILL)
    assert rig.ended(run_id) == Signalled(9)
    assert not any(map(is_alive, family))


def test_a_fork_tells_by_its_environment_in_proc_whose_it_is_and_is_found_by_it(rig: Rig) -> None:
    run_id = rig.run("forks_away", 0)
    rig.ended(run_id)
    far = int((rig.folder / "far").read_text())
    assert not is_alive(far)

    (rig.folder / "far").unlink()
    again = rig.run("forks_away")
    rig.up(again)
    far = int((rig.folder / "far").read_text())
    environ = Path(f"/proc/{far}/environ").read_bytes().split(b"\0")
    assert f"JOBVISOR_RUN_ID={again}".encode() in environ
    assert far in children(rig.server)
    rig.stop(again)
    rig.ended(again)
    assert not is_alive(far)


def test_what_hides_is_known_from_before_the_stop(rig: Rig) -> None:
    run_id = rig.run("hides")
    pid = rig.up(run_id)
    hidden = eventually(lambda: [each for each in below(pid) if b"1000" in Path(f"/proc/{each}/cmdline").read_bytes()])
    eventually(lambda: Path(f"/proc/{hidden[0]}/cmdline").read_bytes().startswith(b"/bin/sleep"))
    rig.stop(run_id)
    rig.ended(run_id)
    assert not any(map(is_alive, hidden))


def test_what_a_tick_starts_lives_as_long_as_the_workers_process(rig: Rig) -> None:
    run_id = rig.run("Starts")
    rig.serving(run_id)
    rig.ticked(rig.tick(run_id))
    pid = rig.spawned(run_id)
    orphans = eventually(lambda: children(rig.server) - {pid})
    rig.ended(rig.command("true"))  # a round of the fork server's
    rig.ended(rig.command("true"))
    assert all(map(is_alive, orphans))
    family = below(pid) | orphans
    rig.stop(run_id)
    rig.ended(run_id)
    assert not any(map(is_alive, family))


def test_a_stopped_job_acts_on_its_stop(rig: Rig) -> None:
    run_id = rig.run("stopped")
    pid = rig.up(run_id)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    rig.stop(run_id)
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "up\nterm\n"


def test_an_end_is_told_only_when_the_last_of_the_job_is_gone(rig: Rig) -> None:
    run_id = rig.run("hands_over")
    pid = rig.up(run_id)
    (child,) = eventually(lambda: below(pid))
    rig.stop(run_id)
    rig.ended(run_id)
    assert not is_alive(child)


def test_the_ends_of_many_at_once_are_all_told_and_nothing_is_left(rig: Rig) -> None:
    runs = [rig.run("leaves_a_session") for _ in range(20)]
    families = [below(rig.up(run_id)) for run_id in runs]
    rig.call(lambda: [rig.engine.kill(run_id) for run_id in runs])
    assert [rig.ended(run_id) for run_id in runs] == [Signalled(9)] * 20
    assert not [pid for family in families for pid in family if is_alive(pid)]
    gone(rig)


def test_a_process_that_a_set_user_id_program_made_its_own_does_not_stop_the_fork_server(rig: Rig) -> None:
    """Root may signal everybody; what is proved here is that a refused signal is no end of the fork server."""

    code = "from supervisor.engine import containment as c; import os, sys; os.setresuid(65534, 65534, 65534); "
    code += "c.signal_job(int(sys.argv[1]), 9); c.signal_group(int(sys.argv[1]), 9); c.kill(int(sys.argv[1]))"
    run_id = rig.run("stopped")
    pid = rig.up(run_id)
    refused = rig.command(
        sys.executable, "-c", code, str(pid), env={"PYTHONPATH": str(Path(containment.__file__).parents[2])}
    )
    assert rig.ended(refused) == Code(0), rig.err(refused)
    assert is_alive(pid)
    assert containment.sight(pid) is not None


STORM = """
import os, sys, time
def storm():
    '''Each fork forks on and ends: no pid lives long enough to be aimed at.'''
    open(sys.argv[1], "a").close()
    while True:
        if os.fork() != 0:
            os._exit(0)
        if sys.argv[2] == "sessions":
            os.setsid()
        time.sleep(0.001)
if os.fork() == 0:
    storm()
time.sleep(1000)
"""


@pytest.mark.parametrize("by", ["group", "sessions"])
def test_a_chain_of_forks_that_never_stands_still_is_ended(rig: Rig, by: str) -> None:
    mark = rig.folder / "storm"
    run_id = rig.command(sys.executable, "-c", STORM, str(mark), by)
    eventually(mark.exists)
    rig.stop(run_id)
    rig.ended(run_id)
    gone(rig)


def test_a_crowd_of_forks_in_sessions_of_their_own_is_ended(rig: Rig) -> None:
    program = """
import os, time
for _ in range(6):
    os.fork()
os.setsid() if os.getpid() != os.getsid(0) else None
os.write(1, b"up\\n")
time.sleep(1000)
"""
    run_id = rig.command(sys.executable, "-c", program)
    eventually(lambda: rig.out(run_id).count("up") == 64)
    family = below(rig.spawned(run_id))
    assert len(family) == 63
    rig.stop(run_id)
    rig.ended(run_id)
    assert not any(map(is_alive, family))
    gone(rig)


DEEP = """
if [ $1 = 0 ]; then
    echo up
    exec sleep 1000
fi
sh "$0" $(($1 - 1))
exit
"""


def test_a_family_of_more_generations_than_python_recurses_is_seen_and_ended(tmp_path: Path) -> None:
    with real(tmp_path) as rig:
        (tmp_path / "deep.sh").write_text(DEEP)  # not by forks alone: each is slower by all that it descends from
        run_id = rig.command("sh", str(tmp_path / "deep.sh"), "1100")
        eventually(lambda: rig.out(run_id) == "up\n", within=60)
        pid = rig.spawned(run_id)
        assert len(list(containment.tree(pid))) == 1101
        told = json.dumps(tree.tree(pid))
        assert told.count('"children"') == tree.DEEPEST + 1
        rig.stop(run_id)
        rig.exited(run_id, within=60)
        gone(rig)


BUSHY = """
import os, time
print("up", flush=True)
while True:
    if os.fork() == 0:
        time.sleep(0.02)
        os._exit(0)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


def test_a_job_that_never_stops_forking_holds_up_no_other(rig: Rig) -> None:
    run_id = rig.command(sys.executable, "-S", "-c", BUSHY)
    rig.up(run_id)
    rig.stop(run_id, signal.SIGURG)  # which it ignores, by default
    assert rig.ended(rig.command("true")) == Code(0)
    rig.kill(run_id)
    assert rig.ended(run_id) == Signalled(9)
    gone(rig)
