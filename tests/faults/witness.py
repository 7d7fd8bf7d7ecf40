"""A whole program with a job that shows that supervision goes on, whatever happens below."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from conftest import eventually
from program import JOBVISOR, Program

BEAT = """
[jobs.beat]
command = "echo beat >> {folder}/beats"
shell = true
every = "200ms"
log = "null"
"""


class Witnessed(Program):
    """A program beside whose jobs ``beat`` runs five times a second."""

    def supervise(self, manifest: str, *, settings: str = "", stderr: int | None = None, **modules: str) -> None:
        """Start it; its stderr goes to run.log, or to a descriptor."""
        socket = self.folder / "control.sock"
        own = f'[supervisor]\nvitals = "200ms"\nsocket = "{socket}"\n{settings}\n'
        self.write(f"{own}\n{BEAT.format(folder=self.folder)}\n{manifest}", **modules)
        with (self.folder / "run.log").open("a") as log:
            self.supervisor = subprocess.Popen(
                [*JOBVISOR, "run"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if stderr is None else stderr,
                text=True,
            )
        eventually(self.answers)
        self.goes_on()

    def answers(self) -> bool:
        return '"supervisor": "' in self.ctl("version", "--json").stdout

    def goes_on(self) -> None:
        """Return when runs have started that nobody had started before."""
        before = self.beats
        eventually(lambda: self.beats >= before + 3)

    @property
    def beats(self) -> int:
        path = self.folder / "beats"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def warnings(self) -> Sequence[str]:
        warned: Sequence[str] = self.json("status")["warnings"]
        return warned

    def warns(self, *words: str) -> str:
        """Return the warning of status that has all these words, once there is one."""
        return eventually(lambda: next((each for each in self.warnings if all(word in each for word in words)), ""))

    def heals(self, *words: str) -> None:
        """Return when no warning of status has these words any more."""
        eventually(lambda: not any(all(word in each for word in words) for each in self.warnings))


@contextmanager
def witnessed(folder: Path) -> Iterator[Witnessed]:
    """Give a program, and leave nothing of it behind."""
    made = Witnessed(folder)
    try:
        yield made
    finally:
        made.end()
