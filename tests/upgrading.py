"""A program whose package is a copy, so that a test can have another version installed over it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from program import JOBVISOR, Program

import supervisor

PACKAGE = Path(supervisor.__file__).parent

WAITING = """
import signal, sys, time
from pathlib import Path
from supervisor import Worker, job

def waits():
    while not Path(__file__).parents[1].joinpath("go").exists():
        time.sleep(0.01)

def gets_ready():
    waits()
    job.ready()
    time.sleep(1000)

def sleep():
    time.sleep(1000)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(1000)
"""
"""Jobs that wait until they are let go."""
LATE = '[jobs.late]\nrun = "jobs.all:gets_ready"\nready = "notify"\n'
WEB = '[jobs.web]\nrun = "jobs.all:sleep"\nsettle = "10ms"\n'


class Installed(Program):
    """A program, and the package that it runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.package = folder / "installed" / "supervisor"
        self.number = 0

    def edit(self, module: str, old: str, new: str) -> None:
        """Change a module of the package in place, as pip does: by another file."""
        path = self.package / module
        text = path.read_text()
        assert old in text
        edited = path.with_suffix(".new")
        edited.write_text(text.replace(old, new))
        edited.replace(path)

    def bump(self) -> str:
        """Install the next version, and return its name."""
        before, self.number = self.version, self.number + 1
        after = f"9.0.{self.number}"
        self.edit("__init__.py", f'"{before}"', f'"{after}"')
        return after

    @property
    def version(self) -> str:
        """The version that is installed."""
        return f"9.0.{self.number}" if self.number else supervisor.__version__

    @property
    def running_version(self) -> str:
        """The version that supervises."""
        found: str = self.json("status")["supervisor"]["version"]
        return found

    def upgrade(self) -> None:
        """Install the next version, and have it go on."""
        version = self.bump()
        done = self.ctl("upgrade")
        assert done.returncode == 0, done.stderr
        assert self.running_version == version

    def go(self) -> None:
        """Let go of the jobs that wait."""
        (self.folder / "go").touch()

    def client(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a client command, which waits."""
        return subprocess.Popen(
            [*JOBVISOR, *words], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def hold_proofs(self) -> None:
        """Have the next version prove itself when ``let_prove`` is called, and not before."""
        self.edit(
            "handover.py",
            '    return json.dumps({"takes_over": True',
            "    import time\n"
            "    while os.path.exists('unproven'):\n"
            "        open('proving', 'w').close()\n"
            "        time.sleep(0.01)\n"
            '    return json.dumps({"takes_over": True',
        )
        (self.folder / "proving").unlink(missing_ok=True)
        (self.folder / "unproven").touch()

    @property
    def is_proving(self) -> bool:
        """True once a proof is held."""
        return (self.folder / "proving").exists()

    def let_prove(self) -> None:
        """Have the next version go on with its proof."""
        (self.folder / "unproven").unlink()


@contextmanager
def installed(folder: Path, environ: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Give a program with a copy of the package, and leave nothing of it running."""
    made = Installed(folder)
    shutil.copytree(PACKAGE, made.package, ignore=shutil.ignore_patterns("__pycache__"))
    environ.setenv("PYTHONPATH", str(made.package.parent))
    environ.setenv("PYTHONDONTWRITEBYTECODE", "1")
    try:
        yield made
    finally:
        made.end()
