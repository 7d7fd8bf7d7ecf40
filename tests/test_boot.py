"""What begins before a supervisor may run, and what of it is left when it may not."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import eventually
from program import JOBVISOR, Program, program

from supervisor.discovery import manifest_id

PRELOADED = '[supervisor]\npreload = ["jobs.marks"]\n[jobs.a]\nrun = "jobs.marks:main"\n'
MARKS = "import pathlib, time\npathlib.Path(__file__).with_name('imported').touch()\ndef main(): time.sleep(1000)\n"


def processes_with(mark: str) -> list[str]:
    """Return the pids of the processes that have a variable in the environment that they were started with."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


def test_a_bad_manifest_imports_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    app = Program(tmp_path)
    app.write(PRELOADED + "evry = 1\n", marks=MARKS)
    mark = f"BOOT_TEST={tmp_path}"
    ended = subprocess.run(
        [*JOBVISOR, "run"],
        cwd=tmp_path,
        env=os.environ | {"BOOT_TEST": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 78
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "jobs" / "imported").exists()
    assert processes_with(mark) == []


def test_a_second_run_imports_nothing(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        app.write(PRELOADED, marks=MARKS)
        app.run()
        app.eventually_job("a", state="running")
        (tmp_path / "jobs" / "imported").unlink()
        assert app.ctl("run").returncode == 1
        assert not (tmp_path / "jobs" / "imported").exists()


def test_a_run_beside_one_of_the_same_manifest_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by hand, while systemd runs the manifest: with the unit's folders the first, without them the second."""
    (tmp_path / "app").mkdir()
    with program(tmp_path / "app") as app:
        app.write(PRELOADED, marks=MARKS)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        runtime = tmp_path / "jobvisor" / manifest_id(str(tmp_path / "app" / "jobs.toml"))
        runtime.mkdir(parents=True)
        with monkeypatch.context() as unit:
            unit.setenv("RUNTIME_DIRECTORY", str(runtime))
            unit.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
            app.run()
        app.eventually_job("a", state="running")
        refused = app.ctl("run")
        assert refused.returncode == 1
        assert f"another supervisor (pid {app.pid}) runs" in refused.stderr


def test_the_helpers_that_were_started_first_are_those_that_serve(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        app.write(PRELOADED, marks=MARKS)
        app.run()
        app.eventually_job("a", state="running")
        children = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
        assert {app.part("engine.forkserver"), app.part("logs.process")} == {int(child) for child in children}


def test_a_supervisor_carries_no_openssl(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        app.write("")
        app.run()
        assert "libcrypto" not in eventually(lambda: Path(f"/proc/{app.pid}/maps").read_text())


WITHOUT_HASHES = """
import sys

class Fewer:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name not in ("_md5", "_sha1", "_sha2", "_sha256", "_sha512", "_sha3"):
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Fewer, sys.meta_path)
"""


def test_a_python_whose_hashes_are_openssls_alone_runs_without_a_word_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some vendors build it, with ``configure --with-builtin-hashlib-hashes=blake2``."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "sitecustomize.py").write_text(WITHOUT_HASHES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "vendor"))
    with program(tmp_path) as app:
        app.write(
            '[jobs.a]\nrun = "jobs.sums:main"\n',
            sums="import hashlib, time\nprint(hashlib.sha256().name)\ndef main(): time.sleep(1000)\n",
        )
        app.run()
        app.eventually_job("a", state="running")
        eventually(lambda: "sha256" in app.output("a"))
        assert all(" INFO " in line for line in app.log.splitlines()), app.log
