"""The supervisor as PID 1 of a container: of a pid namespace of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import children, eventually, is_alive
from program import JOBVISOR, Program, handles

IN_A_CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
SLEEPER = '[jobs.sleeper]\ncommand = ["sleep", "600"]\n'
GRACEFUL = """
[jobs.graceful]
command = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
shell = true
"""


class Container(Program):
    """A program whose supervisor is PID 1."""

    @property
    def pid(self) -> int:
        """The supervisor's pid as it is seen from outside."""
        [pid] = children(super().pid)
        return pid

    @property
    def has_begun(self) -> bool:
        """True from when there is a PID 1 on."""
        return bool(children(super().pid))

    def run(self, *options: str) -> "subprocess.Popen[str]":
        """Start the container and return when its supervisor answers."""
        self.begin(*options)
        eventually(lambda: self.ctl("version", "--json").stdout.find('"supervisor": "') >= 0)
        assert self.supervisor is not None
        return self.supervisor

    def begin(self, *options: str) -> None:
        with (self.folder / "run.log").open("a") as log:
            self.supervisor = subprocess.Popen(
                [*IN_A_CONTAINER, *JOBVISOR, "-f", "jobs.toml", "run", *options],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def exit_code(self) -> int:
        """Return the container's exit code, once it has ended."""
        assert self.supervisor is not None
        return self.supervisor.wait(60)

    def end(self) -> None:
        """End the container at once, whatever state it is in: its processes end with their PID 1."""
        if self.supervisor is not None:
            self.supervisor.kill()
            self.supervisor.wait()

    @contextmanager
    def stranger(self) -> Iterator[int]:
        """Have an orphan in the container, as ``docker exec`` may leave it; it ends with the context."""
        end = self.folder / "end"
        os.mkfifo(end)
        subprocess.run(["nsenter", "-t", str(self.pid), "-p", "sh", "-c", f"(exec cat {end}) & exit"], check=True)
        [pid] = eventually(lambda: [each for each in children(self.pid) if _is_cat(each)])
        yield pid
        end.write_text("")


def _is_cat(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"cat\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Container]:
    if subprocess.run([*IN_A_CONTAINER, "true"], check=False, capture_output=True).returncode:
        pytest.skip("may not make a pid namespace")
    made = Container(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_strangers_are_reaped(app: Container) -> None:
    app.write(SLEEPER)
    app.run()
    before = children(app.pid)
    with app.stranger() as stranger:
        assert children(app.pid) == before | {stranger}
        assert is_alive(stranger)
    eventually(lambda: children(app.pid) == before)
    assert app.job("sleeper")["state"] == "running"
    os.kill(app.pid, signal.SIGTERM)
    assert app.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_what_stops_a_container_stops_its_jobs_by_their_own_rules(app: Container, number: int) -> None:
    app.write(GRACEFUL)
    app.run()
    eventually(lambda: "up" in app.output("graceful"))
    os.kill(app.pid, number)
    assert app.exit_code() == 0
    assert app.output("graceful").splitlines()[-1].endswith(" bye")


def test_a_stop_that_comes_before_the_manifest_is_read_is_not_lost(app: Container) -> None:
    os.mkfifo(app.folder / "jobs.toml")
    app.begin()
    eventually(lambda: app.has_begun and handles(app.pid, signal.SIGTERM))
    os.kill(app.pid, signal.SIGTERM)
    assert app.exit_code() == 0


def test_an_upgrade_leaves_it_where_it_is(app: Container) -> None:
    app.write(GRACEFUL)
    app.run()
    eventually(lambda: "up" in app.output("graceful"))
    pid, job = app.pid, app.job("graceful")["pid"]
    assert app.ctl("upgrade").stdout.endswith(" (pid 1)\n")
    assert (app.pid, app.job("graceful")["pid"]) == (pid, job)
    with app.stranger() as stranger:
        assert is_alive(stranger)
    eventually(lambda: not Path(f"/proc/{stranger}").exists())
    os.kill(pid, signal.SIGTERM)
    assert app.exit_code() == 0
    assert app.output("graceful").splitlines()[-1].endswith(" bye")


def test_it_fails_when_an_essential_job_gives_up(app: Container) -> None:
    app.write(
        SLEEPER + '[jobs.essential]\ncommand = ["false"]\nbackoff = "none"\nmax_restarts = 2\non_give_up = "escalate"\n'
    )
    app.begin()
    assert app.exit_code() == 1
    assert "essential" in app.log


def test_it_says_that_its_manifest_is_bad(app: Container) -> None:
    app.write("[jobs.a]\n")
    app.begin()
    assert app.exit_code() == 78


def test_its_output_goes_to_stdout_when_it_is_asked_to(app: Container) -> None:
    app.write('[jobs.hello]\ncommand = ["sh", "-c", "echo hello; sleep 600"]\n')
    app.run("--output")
    eventually(lambda: "hello | hello" in app.log)
