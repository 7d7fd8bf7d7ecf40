"""A job's process is, to its code, a Python program of its own."""

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from conftest import children, eventually
from rig import Rig, real

from supervisor.core.exits import Code, NotStarted, Signalled
from supervisor.core.runs import Trigger

CODE = """
import atexit, ctypes, json, os, resource, signal, sys, tempfile, threading, time, weakref
from supervisor import job

def say(text):
    print(text, flush=True)

def leaves(code): sys.exit(code)
def leaves_at_once(code): os._exit(code)
def divides(): return 1 / 0
def interrupts(): os.kill(os.getpid(), signal.SIGINT); time.sleep(10)
def shows(*args, **kwargs): say(repr((args, kwargs)))

def tells():
    say(json.dumps({
        "environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "sid": os.getsid(0), "pgid": os.getpgid(0),
        "pid": os.getpid(), "fds": sorted(map(int, os.listdir("/proc/self/fd"))), "nofile": resource.getrlimit(7),
        "stdin": sys.stdin.read(), "argv": sys.argv, "status": open("/proc/self/status").read(),
        "death": death_signal(), "job": [job.name, job.run_id, job.attempt, job.instance, job.trigger, str(job.due)],
    }))

def death_signal():
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number))
    return number.value

class Unprintable(Exception):
    def __str__(self): raise RuntimeError

def raises_unprintable(): raise Unprintable
def raises_much(): raise ValueError("\\N{SNOWMAN}" * 100_000)

def hooked():
    sys.excepthook = lambda kind, error, trace: print("hooked", kind.__name__, file=sys.stderr)
    1 / 0

def exits_well():
    def late():
        time.sleep(0.2)
        say("thread")
    atexit.register(say, "atexit")
    threading.Thread(target=late).start()
    say("target")

class Thing: pass

def finalizes():
    global thing
    thing = Thing()
    weakref.finalize(thing, say, "finalized")

def halfway():
    print("half a line", end="")

def line():
    print("a line")
    time.sleep(1000)

def forks():
    if os.fork() == 0:
        raise ValueError("of the fork")
    os.wait()
    sys.exit(4)

def starts_a_pool():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        say(str(pool.map(abs, [-1, -2])))

def closes_all():
    os.closerange(3, 1000)
    1 / 0
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def told(rig: Rig, run_id: int) -> dict[str, object]:
    assert rig.ended(run_id) == Code(0), rig.err(run_id)
    said: dict[str, object] = json.loads(rig.out(run_id))
    return said


@pytest.mark.parametrize(("code", "status"), [(0, 0), (7, 7), (None, 0), (-1, 255), (256, 0), (True, 1)])
def test_sys_exit_means_what_it_means(rig: Rig, code: int | None, status: int) -> None:
    run_id = rig.run("leaves", code)
    assert rig.exited(run_id).ended == Code(status)
    assert rig.exited(run_id).error is None
    assert rig.err(run_id) == ""


def test_sys_exit_with_words_is_1_and_the_words_on_stderr(rig: Rig) -> None:
    run_id = rig.run("leaves", "not today")
    assert rig.ended(run_id) == Code(1)
    assert rig.err(run_id) == "not today\n"


def test_an_immediate_exit_is_an_exit_code(rig: Rig) -> None:
    assert rig.ended(rig.run("leaves_at_once", 9)) == Code(9)


def test_an_exception_is_shown_as_python_shows_it_and_recorded_with_its_place(rig: Rig) -> None:
    run_id = rig.run("divides")
    exited = rig.exited(run_id)
    assert exited.ended == Code(1)
    assert rig.err(run_id).startswith(f'Traceback (most recent call last):\n  File "{rig.folder}/acts.py", line ')
    assert rig.err(run_id).endswith("ZeroDivisionError: division by zero\n")
    assert "supervisor/engine" not in rig.err(run_id)
    assert exited.error is not None
    assert exited.error.file == f"{rig.folder}/acts.py"
    assert exited.error.line == CODE.splitlines().index("def divides(): return 1 / 0") + 1
    assert exited.error.traceback == rig.err(run_id)


def test_an_excepthook_is_called(rig: Rig) -> None:
    run_id = rig.run("hooked")
    assert rig.ended(run_id) == Code(1)
    assert rig.err(run_id) == "hooked ZeroDivisionError\n"


def test_an_exception_without_words_of_its_own_is_recorded(rig: Rig) -> None:
    error = rig.exited(rig.run("raises_unprintable")).error
    assert error is not None
    assert error.type == "Unprintable"


def test_an_exception_with_too_many_words_is_cut(rig: Rig) -> None:
    error = rig.exited(rig.run("raises_much")).error
    assert error is not None
    assert error.message == "\N{SNOWMAN}" * 2000
    assert len(error.traceback) == 20_000


def test_an_interrupt_ends_by_the_signal_as_python_does(rig: Rig) -> None:
    run_id = rig.run("interrupts")
    assert rig.ended(run_id) == Signalled(signal.SIGINT)
    assert rig.err(run_id).endswith("KeyboardInterrupt\n")


def test_threads_are_waited_for_and_then_exit_handlers_run(rig: Rig) -> None:
    run_id = rig.run("exits_well")
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "target\nthread\natexit\n"


def test_finalizers_run_at_the_end(rig: Rig) -> None:
    run_id = rig.run("finalizes")
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "finalized\n"


def test_exit_handlers_from_before_the_fork_are_not_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(
        "import atexit, weakref\n"
        "class T: pass\n"
        "t = T()\n"
        "atexit.register(print, 'atexit of the fork server', flush=True)\n"
        "weakref.finalize(t, print, 'finalizer of the fork server', flush=True)\n"
    )
    with real(tmp_path, CODE, preload=["shared"]) as rig:
        run_id = rig.run("finalizes")
        assert rig.ended(run_id) == Code(0)
        assert rig.out(run_id) == "finalized\n"


def test_output_goes_out_line_by_line_and_a_last_half_line_at_the_end(rig: Rig) -> None:
    half = rig.run("halfway")
    assert rig.ended(half) == Code(0)
    assert rig.out(half) == "half a line"
    run_id = rig.run("line")
    eventually(lambda: rig.out(run_id) == "a line\n")


def test_the_surroundings_of_a_python_job(rig: Rig) -> None:
    due = datetime(2026, 11, 24, 12, tzinfo=UTC)
    place = rig.folder / "place"
    place.mkdir()
    job = rig.job("tells", name="clock", env={"COLOUR": "red"}, cwd=str(place))
    run_id = rig.spawn(job, instance=2, due_at=due, number=3, trigger=Trigger.RETRY)
    said = told(rig, run_id)
    assert said["cwd"] == str(place)
    assert said["path"][0] == str(rig.folder)  # type: ignore[index]
    assert said["pid"] == said["sid"] == said["pgid"] == rig.spawned(run_id)
    assert said["stdin"] == ""
    assert said["fds"] == [0, 1, 2, 3, 4, 5]  # 3 is the channel, 4 the stack; 5 reads the list
    assert said["nofile"] == list(rig_limits(rig))
    assert said["death"] == signal.SIGKILL
    assert said["job"] == ["clock", run_id, 3, 2, "retry", str(due)]
    environ = said["environ"]
    assert isinstance(environ, dict)
    assert environ["COLOUR"] == "red"
    assert environ["PYTHONUNBUFFERED"] == "1"
    assert environ["JOBVISOR_FD"] == "3"
    assert environ["JOBVISOR_DUE"] == "2026-11-24T12:00:00Z"


def rig_limits(rig: Rig) -> tuple[int, int]:
    """Return the limits that the engine found when it was made."""
    soft: int = rig.engine._servers.settings.nofile
    return soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_a_job_gets_the_soft_limit_of_open_files_that_the_engine_had_raised(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with real(tmp_path, CODE) as rig:
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
            assert told(rig, rig.run("tells"))["nofile"] == [200, hard]
            program = rig.command("sh", "-c", "ulimit -n")
            rig.ended(program)
            assert rig.out(program) == "200\n"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_signal_is_blocked_or_ignored_but_what_python_itself_ignores(rig: Rig) -> None:
    status = str(told(rig, rig.run("tells"))["status"])
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["SigBlk"], 16) == 0
    assert _signals(fields["SigIgn"]) == {signal.SIGPIPE, signal.SIGXFSZ}
    assert _signals(fields["SigCgt"]) == {signal.SIGINT, signal.SIGRTMIN + 7}  # the latter tells the stacks


def test_an_ignored_sigpipe_is_not_inherited_by_a_command(rig: Rig) -> None:
    run_id = rig.command("cat", "/proc/self/status")
    rig.ended(run_id)
    fields = dict(line.split(":\t") for line in rig.out(run_id).splitlines() if line.startswith("Sig"))
    assert _signals(fields["SigBlk"]) == _signals(fields["SigIgn"]) == _signals(fields["SigCgt"]) == set()


def _signals(mask: str) -> set[int]:
    """Return the signals of a mask, less those that glibc keeps for itself: its posix_spawn leaves 32 ignored."""
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1} & set(signal.valid_signals())


def test_a_command_gets_its_environment_and_the_channel_and_no_other_descriptor(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "NOTIFY_SOCKET": "/x",
        "LISTEN_FDS": "1",
        "WATCHDOG_USEC": "1",
    }
    environ |= {"JOURNAL_STREAM": "8:9", "JOBVISOR_DUE": "then", "KEPT": "yes"}
    (tmp_path / "shared.py").write_text("import os\nos.environ['OF_A_MODULE'] = 'no'\n")
    with real(tmp_path, CODE, environ=environ, preload=["shared"]) as rig:
        run_id = rig.command("env", env={"COLOUR": "red"})
        fds = rig.command("ls", "/proc/self/fd")
        rig.ended(run_id)
        rig.ended(fds)
        got = dict(line.split("=", 1) for line in rig.out(run_id).splitlines())
        assert set(got) == {
            *("PATH", "LANG", "KEPT", "COLOUR", "PYTHONUNBUFFERED"),
            *("JOBVISOR_JOB", "JOBVISOR_RUN_ID", "JOBVISOR_ATTEMPT", "JOBVISOR_TRIGGER"),
            *("JOBVISOR_INSTANCE", "JOBVISOR_FD"),
        }
        assert rig.out(fds).split() == ["0", "1", "2", "3", "4"]
        assert "OF_A_MODULE" in told(rig, rig.run("tells"))["environ"]  # type: ignore[operator]


def test_arguments_may_be_anything_that_toml_has(rig: Rig) -> None:
    run_id = rig.run("shows", 1, "two", [3.5, {"day": date(2026, 1, 2)}], kwargs={"on": True})
    rig.ended(run_id)
    assert rig.out(run_id) == "((1, 'two', [3.5, {'day': datetime.date(2026, 1, 2)}]), {'on': True})\n"


def test_an_order_larger_than_a_datagram_arrives(rig: Rig) -> None:
    run_id = rig.command("sh", "-c", 'echo "${#BIG1} ${#BIG2}"', env={"BIG1": "x" * 100_000, "BIG2": "y" * 100_000})
    assert rig.ended(run_id) == Code(0)
    assert rig.out(run_id) == "100000 100000\n"


def test_a_shell_runs_only_when_asked(rig: Rig) -> None:
    with_shell = rig.command("echo $JOBVISOR_JOB; exit 5", shell=True)  # noqa: S604  # that is what is asked
    without = rig.command("echo", "$JOBVISOR_JOB")
    assert rig.ended(with_shell) == Code(5)
    rig.ended(without)
    assert (rig.out(with_shell), rig.out(without)) == ("web\n", "$JOBVISOR_JOB\n")


def test_a_folder_that_is_not_there_is_a_start_that_failed(rig: Rig) -> None:
    ended = rig.ended(rig.run("divides", cwd="/no/such/folder"))
    assert ended == NotStarted("chdir", 2, "No such file or directory: /no/such/folder")


def test_a_program_that_may_not_be_run_is_a_start_that_failed(rig: Rig) -> None:
    (rig.folder / "data").write_text("x")
    assert rig.ended(rig.command("./data")) == NotStarted("exec", 13, "Permission denied: ./data")


def test_an_environment_that_cannot_be_is_a_start_that_failed(rig: Rig) -> None:
    ended = rig.ended(rig.run("divides", env={"A": "nul\0"}))
    assert isinstance(ended, NotStarted)
    assert ended.step == "environment"


def test_a_missing_target_is_a_start_that_failed_with_what_to_create(rig: Rig) -> None:
    ended = rig.ended(rig.run("tasks.poll_api:PollApi", name="poll_api", where="jobs.toml:12"))
    assert ended == NotStarted(
        "import",
        0,
        'job "poll_api" (jobs.toml:12): cannot import "tasks.poll_api": no package or module "tasks" under '
        f'{rig.folder}; create tasks/poll_api.py with a Worker class named "PollApi"',
    )


def test_a_module_that_raises_is_shown_and_recorded(rig: Rig) -> None:
    (rig.folder / "bad.py").write_text("print('half')\nraise KeyError('x')\n")
    run_id = rig.run("bad:run")
    exited = rig.exited(run_id)
    assert isinstance(exited.ended, NotStarted)
    assert f"importing \"bad\" raised KeyError at {rig.folder}/bad.py:2: 'x'" in exited.ended.message
    assert exited.error is not None
    assert exited.error.fingerprint == f"KeyError@{rig.folder}/bad.py:2"
    assert "KeyError: 'x'" in rig.err(run_id)


def test_a_forks_exception_is_not_the_jobs(rig: Rig) -> None:
    run_id = rig.run("forks")
    assert rig.exited(run_id).ended == Code(4)
    assert rig.exited(run_id).error is None
    assert "ValueError: of the fork" in rig.err(run_id)


def test_a_job_may_have_children_of_its_own(rig: Rig) -> None:
    run_id = rig.run("starts_a_pool")
    assert rig.ended(run_id) == Code(0), rig.err(run_id)
    assert rig.out(run_id) == "[1, 2]\n"


def test_a_job_that_closes_its_channel_ends_as_it_would(rig: Rig) -> None:
    run_id = rig.run("closes_all")
    assert rig.exited(run_id).ended == Code(1)
    assert "ZeroDivisionError" in rig.err(run_id)


def test_usage_is_measured(rig: Rig) -> None:
    usage = rig.exited(rig.command(sys.executable, "-c", "sum(range(3_000_000))")).usage
    assert usage.cpu.total_seconds() > 0
    assert usage.max_rss > 1_000_000


def test_a_changed_user_loses_the_death_signal_so_it_is_set_after(rig: Rig) -> None:
    program = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "def now():\n"
        "    n = ctypes.c_int(); libc.prctl(2, ctypes.byref(n)); return n.value\n"
        "libc.prctl(1, 9, 0, 0, 0); before = now(); os.setresuid(65534, 65534, 0); lost = now()\n"
        "libc.prctl(1, 9, 0, 0, 0); print(before, lost, now())\n"
    )
    run_id = rig.command(sys.executable, "-c", program)
    rig.ended(run_id)
    assert rig.out(run_id) == "9 0 9\n"


def test_the_fork_server_forgets_what_it_has_forked(rig: Rig) -> None:
    rig.ended(rig.run("divides"))
    server = rig.server
    before = len(list(Path(f"/proc/{server}/fd").iterdir()))
    runs = [rig.run("leaves", 0) for _ in range(300)]
    for run_id in runs:
        rig.ended(run_id)
    eventually(lambda: not children(server))
    assert len(list(Path(f"/proc/{server}/fd").iterdir())) == before
