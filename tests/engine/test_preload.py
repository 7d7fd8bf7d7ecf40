"""Preloading: once, for all jobs; a bad module costs a warning and nothing else."""

import os
from pathlib import Path

import pytest
from conftest import children, eventually
from rig import Rig, real

from supervisor.core.exits import Code
from supervisor.engine.generation import Patience

CODE = """
import sys

def tells(module):
    found = sys.modules.get(module)
    print(found and getattr(found, "pid", "loaded"), flush=True)

def asks(module):
    print(__import__(module).pid, flush=True)
"""
PID = "import os\npid = os.getpid()\n"


def said(rig: Rig, target: str, module: str) -> str:
    run_id = rig.run(target, module)
    assert rig.ended(run_id) == Code(0), rig.err(run_id)
    return rig.out(run_id).strip()


def test_a_module_is_imported_once_in_the_fork_server_from_the_jobs_own_folders(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(PID)
    more = tmp_path / "more"
    more.mkdir()
    (more / "further.py").write_text(PID)
    with real(tmp_path, CODE, preload=["shared", "further"], pythonpath=[str(more)]) as rig:
        server = str(rig.server)
        assert said(rig, "tells", "shared") == said(rig, "tells", "further") == server
        assert rig.call(lambda: rig.engine.warnings) == ()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "importing it ended the process"),
        ("import os; os.kill(os.getpid(), 11)", "importing it ended the process"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()", "a thread"),
        ("import time; time.sleep(1000)", "more than 3 s to import"),
        ("import no_such_module_at_all", "No module named"),
    ],
)
def test_a_bad_module_is_named_and_left_to_the_jobs(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "good.py").write_text(PID)
    (tmp_path / "later.py").write_text(PID)
    of_the_fork_server = "import os, sys\npid = os.getpid()\nif 'acts' not in sys.modules:\n    "
    (tmp_path / "bad.py").write_text(of_the_fork_server + code + "\n")
    with real(tmp_path, CODE, preload=["good", "bad", "later"], patience=Patience(preload=3)) as rig:
        answers = said(rig, "asks", "bad")
        (warning,) = rig.call(lambda: rig.engine.warnings)
        assert warning.startswith('preload: "bad" is not preloaded: ')
        assert words in warning
        assert rig.warned == [warning]
        server = str(rig.server)
        assert answers != server
        assert said(rig, "tells", "bad") == "None"
        assert said(rig, "tells", "good") == said(rig, "tells", "later") == server


def test_native_threads_are_a_warning_and_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "native.py").write_text(
        "import _thread, os, time\npid = os.getpid()\n_thread.start_new_thread(time.sleep, (1000,))\n"
    )
    with real(tmp_path, CODE, preload=["native"]) as rig:
        assert said(rig, "tells", "native") == str(rig.server)
        assert rig.call(lambda: rig.engine.warnings) == ('preload: "native": it starts native threads',)


def test_what_a_module_does_to_signals_does_not_reach_the_fork_server(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        PID
        + "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\nsignal.pthread_sigmask(0, [15])\n"
    )
    with real(tmp_path, CODE, preload=["noisy"]) as rig:
        assert said(rig, "tells", "noisy") == str(rig.server)
        server = rig.server
        os.kill(server, 15)
        run_id = rig.command("cat", "/proc/self/status")
        rig.ended(run_id)
        fields = dict(line.split(":\t") for line in rig.out(run_id).splitlines() if line.startswith("Sig"))
        for mask in (fields["SigBlk"], fields["SigIgn"]):  # 32 is glibc's own: its posix_spawn leaves it ignored
            assert not int(mask, 16) & ~(1 << 31)
        assert rig.server == server


def test_a_process_that_a_module_has_started_lives_on(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(PID + "import subprocess\nproc = subprocess.Popen(['sleep', '1000'])\n")
    with real(tmp_path, CODE, preload=["starts"]) as rig:
        said(rig, "tells", "starts")
        (child,) = eventually(lambda: children(rig.server))
        said(rig, "tells", "starts")
        assert children(rig.server) == {child}
        os.kill(child, 9)


def test_output_of_a_preloaded_module_is_not_written_again_by_each_job(tmp_path: Path) -> None:
    (tmp_path / "prints.py").write_text(PID + "print('of the module', end='')\n")
    with real(tmp_path, CODE, preload=["prints"]) as rig:
        assert said(rig, "tells", "prints") == str(rig.server)
