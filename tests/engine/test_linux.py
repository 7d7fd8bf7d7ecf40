"""What Python does not offer of Linux, and what it hides of itself, on real processes."""

import errno
import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually
from rig import open_fds

from supervisor import linux
from supervisor.engine import containment, interpreter


def ended(program: str, *args: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *args], check=True, capture_output=True, text=True, env=env
    ).stdout


def test_descriptors_are_closed_from_a_number_on_also_under_a_high_limit() -> None:
    program = (
        "import os; from supervisor import linux\n"
        "fds = [os.open('/dev/null', 0) for _ in range(50)]\n"
        "linux.close_from(5)\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd'))))\n"
    )
    assert ended(program) == "[0, 1, 2, 3, 4, 5]\n"  # 5 reads the list


@pytest.mark.parametrize("without", ["", "linux._SYS_CLOSE_RANGE = 1023\n"])
def test_descriptors_are_closed_where_python_or_the_kernel_does_not_know_how(without: str) -> None:
    program = (
        "import os; from supervisor import linux\n"
        f"linux._is_quick = False\n{without}"
        "fds = [os.open('/dev/null', 0) for _ in range(50)]\n"
        "linux.close_from(5)\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd'))))\n"
    )
    assert ended(program) == "[0, 1, 2, 3, 4, 5]\n"


def test_the_environment_in_proc_is_overwritten_in_place_and_read_of_a_fork() -> None:
    program = (
        "import os, signal; from supervisor import linux; from supervisor.engine import containment\n"
        "slot = linux.EnvironSlot('JOBVISOR_RUN_ID')\n"
        "slot.memory[:] = slot.fit('7')\n"
        "pid = os.fork()\n"
        "if pid == 0: signal.pause()\n"
        "print(containment.run_of(pid), os.environ['JOBVISOR_RUN_ID'])\n"
        "os.kill(pid, 9); os.waitpid(pid, 0)\n"
        "slot.memory[:] = slot.fit('12345678901234567890123'); print(containment.run_of(os.getpid()))\n"
    )
    mark = "-" * 20
    assert ended(program, env={**os.environ, "JOBVISOR_RUN_ID": mark}) == f"7 {mark}\n12345678901234567890\n"


def test_a_process_names_itself_and_its_forks() -> None:
    program = (
        "import os; from supervisor import linux; from supervisor.engine import containment\n"
        "linux.name_process('a (b) c')\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(0)\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print(containment.sight(pid).name, containment.sight(pid).is_zombie)\n"
        "os.waitpid(pid, 0)\n"
    )
    assert ended(program) == "a (b) c True\n"


def test_a_mark_names_the_process_before_the_run_and_other_words_are_no_mark() -> None:
    def run_of(**environ: str) -> int | None:
        with subprocess.Popen(["sleep", "1000"], env={"PATH": os.environ["PATH"], **environ}) as process:
            eventually(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"sleep"))
            found = containment.run_of(process.pid)
            process.kill()
        return found

    assert run_of(JOBVISOR_RUN_ID="7") == 7
    assert run_of(JOBVISOR_RUN_ID="7", JOBVISOR_PROCESS="3") == 3
    assert run_of(JOBVISOR_RUN_ID="-" * 20) is None
    assert run_of() is None


def test_a_process_is_neither_polled_by_multiprocessing_nor_holds_a_pipe() -> None:
    before = open_fds()
    process = interpreter.Process(os._exit, (3,), os.fork)
    pid = process.begin()
    assert process not in multiprocessing.process._children
    assert open_fds() == before
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def test_a_fork_that_fails_leaves_no_descriptor() -> None:
    def refused() -> int:
        raise OSError(errno.EAGAIN, "no process to be had")

    before = open_fds()
    with pytest.raises(OSError, match="no process"):
        interpreter.Process(os._exit, (3,), refused).begin()
    assert open_fds() == before


def test_exit_handlers_are_forgotten_and_the_interpreters_own_are_kept() -> None:
    program = (
        "import atexit, logging, logging.handlers, sys\n"
        "from supervisor.engine import interpreter\n"
        "atexit.register(print, 'before')\n"
        "interpreter.forget_exit_handlers()\n"
        "handler = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.warning('kept in memory')\n"
        "atexit.register(print, 'after')\n"
        "interpreter.run_exit_handlers()\n"
        "interpreter.run_exit_handlers()\n"
    )
    assert ended(program) == "after\nkept in memory\n"


def test_a_death_signal_is_that_of_the_forking_process() -> None:
    program = (
        "import os, time; from supervisor import linux\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    linux.die_with_parent(9); os.write(1, b'%d\\n' % os.getpid()); time.sleep(1000)\n"
        "time.sleep(1000)\n"
    )
    linux.adopt_orphans()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
