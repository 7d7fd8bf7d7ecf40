"""Commands typed in a folder, and a supervisor of canned answers for them to meet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import eventually

from supervisor.control.client import connect
from supervisor.errors import NoSupervisorError

JOBVISOR = [sys.executable, "-m", "supervisor"]


class Shell:
    """A folder in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("JOBVISOR_")}

    def __call__(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*JOBVISOR, *arguments],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str, **settings: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*JOBVISOR, *arguments],
            cwd=self.folder,
            env=self.environ,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings,
        )

    def write(self, manifest: str, **modules: str) -> None:
        (self.folder / "jobs.toml").write_text(manifest)
        (self.folder / "jobs").mkdir(exist_ok=True)
        for name, code in modules.items():
            (self.folder / "jobs" / f"{name}.py").write_text(code)


class Canned:
    """A supervisor for the folder's manifest that answers what it is told to."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / ".jobvisor"
        self._state.mkdir(exist_ok=True)
        self.socket = str(self._state / "control.sock")
        self.answers()
        (folder / "jobs.toml").touch()
        self.process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("canned.py")), self.socket])

    def answers(self, **answers: Any) -> None:
        ready = {"result": {"version": "9.9", "log_dir": str(self._state / "logs")}}
        (self._state / "answers.json").write_text(json.dumps({"ping": ready} | answers))

    @property
    def requests(self) -> list[Any]:
        path = self._state / "requests.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [request for request in map(json.loads, lines) if request[0] != "ping"]

    def answers_now(self) -> bool:
        try:
            with connect([self.socket]) as client:
                return bool(client.ask("ping"))
        except NoSupervisorError:
            return False

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def canned_supervisor(folder: Path) -> Iterator[Canned]:
    """Answer for a folder's manifest while the context lasts."""
    made = Canned(folder)
    try:
        eventually(made.answers_now)
        yield made
    finally:
        made.end()
