"""The sides that are measured, each as one program in a folder of its own: ours, supervisord, the floor."""

import compileall
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import supervisord
from arrivals import Arrivals, NotStartedError

HERE = Path(__file__).parent
WORKLOAD = HERE / "workload"
SCRIPT = WORKLOAD / "webapp.py"
OWN = [sys.executable, "-m", "supervisor"]
END_WITHIN = 60.0

compileall.compile_dir(HERE, quiet=1, maxlevels=1)
compileall.compile_dir(HERE.parent / "supervisor", quiet=1)  # as pip does for what it installs, supervisord too

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a benchmark that is ended ends its sides too

Side = Callable[[Path], Sequence[str]]
"""Given an empty folder, prepares it and returns the command line that starts the side there."""


@dataclass(frozen=True, slots=True)
class Started:
    """A side whose jobs all run."""

    folder: Path
    pid: int
    seconds: float
    """From the start of the side's program to the first line of its last job."""
    spread: float
    """The part of it from the first job's first line on."""
    jobs: list[int]
    """Pids of the jobs."""
    arrivals: Arrivals


@contextmanager
def started(side: Side, count: int) -> Iterator[Started]:
    """Start a side, wait for the first line of ``count`` jobs, and at the end leave nothing of it behind."""
    with tempfile.TemporaryDirectory(prefix="jobvisor-bench-") as name:
        folder = Path(name)
        argv = side(folder)
        arrivals = Arrivals(folder)
        with (folder / "output").open("w") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"BENCH_ARRIVALS": str(arrivals.path), "BENCH_LINES": str(folder / "lines")},
            )
        arrivals.end_with(process.pid)
        jobs: list[int] = []
        try:
            jobs += _arrived(arrivals, 1, folder / "output")
            first_at = time.monotonic()
            jobs += _arrived(arrivals, count - 1, folder / "output")
            now = time.monotonic()
            yield Started(folder, process.pid, now - began, now - first_at, jobs, arrivals)
        finally:
            _end(process, jobs)
            arrivals.close()


def _arrived(arrivals: Arrivals, count: int, output: Path) -> list[int]:
    """Return the pids of the jobs once they run; where they do not, show what their supervisor said."""
    try:
        return arrivals.wait(count)
    except NotStartedError:
        print(*output.read_text().splitlines()[-12:], sep="\n", file=sys.stderr)
        raise


def _end(process: "subprocess.Popen[bytes]", jobs: Sequence[int]) -> None:
    """Ask the side to end its jobs; jobs that it has left are killed, and counted."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    left = [pid for pid in jobs if _is_ours(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    if left:
        print(f"{process.args!r} left {len(left)} jobs running", file=sys.stderr)


def _is_ours(pid: int) -> bool:
    """Tell whether a pid is still one of the benchmark's jobs, and not another process by now."""
    try:
        return b"BENCH_ARRIVALS=" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def jobvisor(count: int, *, target: str = "run", vitals: str = "10s") -> Side:
    """Return our side: the jobs as ``run`` (forked from the preloaded fork server) or as ``command`` (exec'd)."""
    what = 'run = "webapp:main"' if target == "run" else f"command = {json.dumps([sys.executable, str(SCRIPT)])}"
    jobs = "".join(f'[jobs.job{number}]\n{what}\nbackoff = "none"\nmax_restarts = 1000\n' for number in range(count))
    top = f'[supervisor]\npreload = ["webapp"]\npythonpath = [{json.dumps(str(WORKLOAD))}]\nvitals = "{vitals}"\n'
    return partial(_prepared, top + jobs)


def _prepared(manifest: str, folder: Path) -> Sequence[str]:
    (folder / "jobs.toml").write_text(manifest)
    return [*OWN, "run"]


def supervisord_side(count: int) -> Side:
    """Return the peer's side: the same script as so many programs of supervisord."""
    programs = supervisord.installed()

    def prepare(folder: Path) -> Sequence[str]:
        conf = supervisord.write_conf(folder, count, f"{sys.executable} {SCRIPT}")
        return [str(programs / "supervisord"), "-c", str(conf)]

    return prepare


def floor(count: int) -> Side:
    """Return the floor's side."""
    return lambda _: [sys.executable, str(HERE / "floor.py"), str(count)]
