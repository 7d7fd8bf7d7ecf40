"""The real program in a folder of its own, as a person would run it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import children, eventually

JOBVISOR = [sys.executable, "-m", "supervisor"]


class Program:
    """One manifest, its supervisor, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor: subprocess.Popen[str] | None = None
        (folder / "jobs").mkdir(exist_ok=True)

    def write(self, manifest: str, **modules: str) -> None:
        """Write jobs.toml, and jobs/NAME.py for each module."""
        (self.folder / "jobs.toml").write_text(manifest)
        for name, code in modules.items():
            (self.folder / "jobs" / f"{name}.py").write_text(code)

    def run(self, *options: str) -> "subprocess.Popen[str]":
        """Start the supervisor and return when it answers."""
        if self.supervisor is not None:
            self.supervisor.wait(60)
        with (self.folder / "run.log").open("a") as log:
            self.supervisor = subprocess.Popen(
                [*JOBVISOR, "run", *options], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        try:
            eventually(lambda: self.ctl("version", "--json").stdout.find('"supervisor": "') >= 0)
        except pytest.fail.Exception as failure:
            self.supervisor.send_signal(signal.SIGABRT)  # where it stands is then in its log
            self.supervisor.wait(60)
            pytest.fail(f"{failure}\n{self.log}")
        return self.supervisor

    @property
    def pid(self) -> int:
        assert self.supervisor is not None
        return self.supervisor.pid

    def ctl(self, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a client command."""
        return subprocess.run(
            [*JOBVISOR, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False
        )

    def json(self, *arguments: str) -> Any:
        """Return what a client command answers as JSON."""
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def job(self, name: str, instance: int = 1) -> dict[str, Any]:
        """Return the status of one job."""
        found = self._found(name, instance)
        assert found is not None, f"there is no job {name}:{instance}"
        return found

    def _found(self, name: str, instance: int = 1) -> dict[str, Any] | None:
        jobs: list[dict[str, Any]] = self.json("status")["jobs"]
        return next((job for job in jobs if (job["name"], job["instance"]) == (name, instance)), None)

    def eventually_job(self, name: str, within: float = 60, **wanted: object) -> dict[str, Any]:
        """Return the status of a job once there is one that has these values."""
        return eventually(
            lambda: (job := self._found(name)) and all(job[key] == value for key, value in wanted.items()) and job,
            within=within,
        )

    def output(self, name: str) -> str:
        """Return what a job has written, its rotated files left out."""
        path = self.folder / ".jobvisor" / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def log(self) -> str:
        """The supervisor's own lines."""
        return (self.folder / "run.log").read_text()

    def part(self, module: str) -> int:
        """Return the pid of a process beside the supervisor: ``engine.forkserver`` or ``logs.process``."""
        name = f"supervisor.{module}".encode()
        for pid in children(self.pid):
            with suppress(FileNotFoundError, ProcessLookupError):  # an orphan that has ended meanwhile
                if name in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
        raise LookupError(f"no {module} is there now")

    def end(self) -> None:
        """End the supervisor, whatever state it is in."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGCONT)
            self.supervisor.terminate()
            try:
                self.supervisor.wait(40)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()


@contextmanager
def program(folder: Path) -> Iterator[Program]:
    """Give a program, and leave nothing of it behind."""
    made = Program(folder)
    try:
        yield made
    finally:
        made.end()


def handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler for a signal (proc(5), SigCgt)."""
    [caught] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def pid_in(path: Path) -> int:
    """Return the pid that a job has written to a file, once it has."""
    return int(eventually(lambda: path.exists() and path.read_text().strip()))
