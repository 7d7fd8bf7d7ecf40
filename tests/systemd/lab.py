"""A machine of its own under a real systemd, with this program installed in it: ``lab.sh``, as tests use it."""

import ctypes
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from conftest import eventually

Mode = Literal["ns", "uml"]

SLOW = pytest.mark.skipif("JOBVISOR_TEST_ALL" not in os.environ, reason="half a minute: set JOBVISOR_TEST_ALL=1")
"""For what a User Mode Linux kernel takes long for, and others prove in part."""

ROOT = Path(__file__).parents[2]
JOBVISOR = str(Path(sys.prefix, "bin", "jobvisor"))
APP = "/srv/app"
"""The application's folder in the lab."""

_LAB = str(Path(__file__).with_name("lab.sh"))
_SKIP = 77
_numbers = itertools.count(1)
_PR_SET_CHILD_SUBREAPER = 36


class Lab:
    """A booted lab. Everything here happens in it, but for the files that are read: it sees this machine's root."""

    def __init__(self, name: str, mode: Mode) -> None:
        self.mode = mode
        self.folder = APP
        self._environ = {**os.environ, "LAB_NAME": name}

    # -- the machine ---------------------------------------------------------------------------------------------------

    def up(self, *options: str) -> None:
        """Boot; skip the test, with the lab's reason, where this machine cannot."""
        binds = [option for path in _shared() for option in ("--bind", path)]
        self.lab("up", "--mode", self.mode, "--ttl", "1800", *binds, *options)
        self.run("mkdir", "-p", self.folder)

    def down(self, *, now: bool = False) -> None:
        """Power off in order, or pull the plug."""
        self.lab("down", *(["--now"] if now else []))

    def lab(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run ``lab.sh``; what runs in the lab shall not count as left behind by a test."""
        _adopt_nobody()
        done = subprocess.run(
            [_LAB, *arguments],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60 if arguments[0] == "exec" else 240,
            check=False,
        )
        if done.returncode == _SKIP:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        if check and done.returncode:
            pytest.fail(f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ask(self, *command: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command in the lab, whatever its exit code."""
        variables = [option for name, value in (environ or {}).items() for option in ("-e", f"{name}={value}")]
        return self.lab("exec", *variables, "--", *command, check=False)

    def run(self, *command: str) -> str:
        """Run a command in the lab that must not fail; return what it prints."""
        return self.lab("exec", "--", *command).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file; a relative path is one of the application's."""
        target = Path(self.folder, path)
        self.run("mkdir", "-p", str(target.parent))
        with tempfile.NamedTemporaryFile("w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            self.lab("push", file.name, str(target))

    def open_to_all(self, path: str) -> None:
        """Let every account reach a path of this machine's root, in the lab alone: its root is an overlay."""
        here = Path(path).resolve()
        if not any(here.is_relative_to(shared) for shared in _shared()):
            self.run("chmod", "o+x", *map(str, [*here.parents, here]))

    def read(self, path: str) -> str:
        """Return the text of a file, empty where there is none."""
        return self.ask("cat", f"{self.folder}/{path}").stdout

    # -- systemd -------------------------------------------------------------------------------------------------------

    def ctl(self, *arguments: str) -> str:
        """Run a systemctl that must not fail."""
        return self.run("systemctl", "--no-pager", *arguments)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.ctl("show", "--value", "-p", name, unit).strip()

    def eventually(self, unit: str, *, within: float = 60, **wanted: str) -> None:
        """Wait until a unit has these properties; say what its journal says where it never has."""
        names = [option for name in wanted for option in ("-p", name)]

        def has() -> bool:
            found = dict(line.split("=", 1) for line in self.ctl("show", *names, unit).splitlines())
            return found == wanted

        try:
            eventually(has, within=within)
        except pytest.fail.Exception as failure:
            now = self.ctl("show", *names, unit)
            pytest.fail(f"{failure}\n{wanted} != {now}\n{self.text('-n', '60')}")

    def text(self, *arguments: str) -> str:
        """Return the journal of this boot, as people read it."""
        return self.ask("journalctl", "--no-pager", "-b", "-o", "cat", *arguments).stdout

    def journal(self, *match: str) -> list[dict[str, Any]]:
        """Return the journal's entries of this boot, oldest first."""
        lines = self.run("journalctl", "--no-pager", "-b", "--all", "-o", "json", *match).splitlines()
        return [json.loads(line) for line in lines]

    # -- the program ---------------------------------------------------------------------------------------------------

    def jobvisor(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the program in the application's folder, as an operator's shell would."""
        return self.ask("env", "-C", self.folder, f"PWD={self.folder}", JOBVISOR, *arguments)

    def json(self, *arguments: str) -> Any:
        """Return what a command answers as JSON, or what it complains of."""
        done = self.jobvisor(*arguments, "--json")
        return json.loads(done.stdout) if done.stdout else done.stderr

    def job(self, name: str, instance: int = 1) -> dict[str, Any]:
        """Return the status of one job; empty while no supervisor answers."""
        status = self.json("status")
        jobs = status["jobs"] if isinstance(status, dict) else []
        return next((job for job in jobs if (job["name"], job["instance"]) == (name, instance)), {})

    def eventually_job(self, name: str, *, within: float = 60, **wanted: object) -> dict[str, Any]:
        """Return the status of a job once it has these values."""
        return eventually(
            lambda: (job := self.job(name)) and all(job[key] == value for key, value in wanted.items()) and job,
            within=within,
        )

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Return the recorded runs of a job, oldest first."""
        found: list[dict[str, Any]] = self.json("history", name, "-n", "100000")
        return found[::-1]


@contextmanager
def lab(mode: Mode, *options: str) -> Iterator[Lab]:
    """Give a booted lab, and leave nothing of it behind."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    made = Lab(f"jobvisor-{mode}-{os.getpid()}-{next(_numbers)}", mode)
    try:
        made.up(*options)
        yield made
    finally:
        made.down(now=True)


def _shared() -> list[str]:
    """Return the folders that the lab has as they are: of the project, and of its environment."""
    folders = {ROOT, Path(sys.prefix).resolve()}
    return sorted(str(path) for path in folders if not any(path.is_relative_to(other) for other in folders - {path}))


def _adopt_nobody() -> None:
    """Undo what a test of the engine does to this process: a lab's launcher would become its child."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
