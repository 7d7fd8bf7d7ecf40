"""A campaign of accidents against a whole program, and the model that it is judged by.

What happens is drawn from one seed: kills and stops of jobs, of the supervisor and of its helpers, alone and together,
and orders of several clients at once. After each round the orders come to rest, the model says what is wanted of each
job, and everything that must never be is looked for.
"""

import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from asking import ask
from conftest import children, descendants, eventually
from program import JOBVISOR, Program

WRITERS = """
import fcntl, itertools, os, signal, subprocess, sys, time

def alone(name):
    '''Hold the job's own lock; who cannot is the second of two at once.'''
    name = f"{name}:{os.environ['JOBVISOR_INSTANCE']}"
    lock = os.open(f"locks/{name}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with open("doubles", "a") as doubles:
            print(name, os.getpid(), os.environ["JOBVISOR_RUN_ID"], file=doubles)

def writes(name):
    '''Count lines; how many have left this process stands in a file, in memory that outlives a kill.'''
    alone(name)
    run = os.environ["JOBVISOR_RUN_ID"]
    said = os.open(f"said/{name}.{run}", os.O_RDWR | os.O_CREAT, 0o600)
    for number in itertools.count(1):
        os.write(1, f"run {run} line {number}\\n".encode())
        os.pwrite(said, b"%d" % number, 0)
        time.sleep(0.01)

def has_children(name):
    alone(name)
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.Popen(["sleep", "1000"])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    os.wait()
    time.sleep(1000)

def clings(name):
    alone(name)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)

def short(name, seconds):
    alone(name)
    time.sleep(seconds)

from supervisor import Worker

class Ticks(Worker):
    def start(self):
        alone("worker")
    def tick(self):
        time.sleep(0.02)
"""
LASTING = ("writer", "family", "clinger", "crowd")
PERIODS = {"quick": 0.4, "slow": 1.0, "worker": 0.7, "herd": 0.9}
SCALED = ("crowd", "herd")
DEFAULTS = """
[supervisor]
vitals = "500ms"
stop_timeout = "10s"
[defaults]
stop_timeout = "1s"
backoff = { initial = "50ms", max = "200ms", jitter = 0 }
settle = "50ms"
[jobs.writer]
run = "jobs.chaos:writes"
args = ["writer"]
log = { timestamps = false, max_size = "1G" }
[jobs.family]
run = "jobs.chaos:has_children"
args = ["family"]
[jobs.clinger]
run = "jobs.chaos:clings"
args = ["clinger"]
[jobs.quick]
run = "jobs.chaos:short"
args = ["quick", 0.05]
every = "400ms"
[jobs.slow]
run = "jobs.chaos:short"
args = ["slow", 0.6]
every = "1s"
retries = 1
[jobs.crowd]
run = "jobs.chaos:short"
args = ["crowd", 1000]
[jobs.herd]
run = "jobs.chaos:short"
args = ["herd", 0.1]
every = "900ms"
[jobs.worker]
run = "jobs.chaos:Ticks"
every = "700ms"
"""
EXTRA = '[jobs.extra]\nrun = "jobs.chaos:short"\nargs = ["extra", 1000]\n'

DUMPED = ("jobvisor: run ", "Current thread ", "Thread ", "  File ")
"""How the lines begin by which the supervisor tells the stacks of a run that it has to kill, among those of the run."""


class Campaign:
    """One program under attack."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.luck = random.Random(seed)  # noqa: S311  # a campaign is to be repeated
        self.program = Program(folder)
        self.mark = f"chaos-{folder.name}-{seed}"
        self.wanted = dict.fromkeys((*LASTING, *PERIODS), True)
        """The model: whether a job is wanted up, or held by hand."""
        self.numbers = dict.fromkeys(SCALED, 1)
        """How many instances of a job are wanted."""
        self.has_extra = False
        self.stopped: list[int] = []
        """Job processes at a standstill: one without a time limit would stay so."""
        self.log_losses = 0
        """How often lines may have died because both who write them and who keep them were killed."""
        self.killed: set[str] = set()
        """Of the log process and the supervisor, those that were killed in this round."""
        self.story: list[str] = []
        for name in ("locks", "said"):
            (folder / name).mkdir()

    # -- the program ---------------------------------------------------------------------------------------------------

    def write(self, *, note: str = "") -> None:
        extra = EXTRA if self.has_extra else ""
        edited = DEFAULTS.replace("[jobs.family]", f'[jobs.family]\ndescription = "{note}"')
        # whole at any time, as editors write: a reload of half a manifest would remove the other half
        new = self.folder / f"jobs.toml.{threading.get_ident()}"
        new.write_text(edited + extra)
        new.replace(self.folder / "jobs.toml")

    def run(self) -> None:
        """Start the supervisor, or the next one after a kill."""
        if self.program.supervisor is not None:
            self.program.supervisor.wait(60)
        with (self.folder / "run.log").open("a") as log:
            self.program.supervisor = subprocess.Popen(
                [*JOBVISOR, "run"],
                cwd=self.folder,
                env={**os.environ, "CHAOS": self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        eventually(lambda: self.ask("ping") is not None)

    @property
    def is_up(self) -> bool:
        return self.program.supervisor is not None and self.program.supervisor.poll() is None

    def ask(self, method: str, **params: Any) -> Any:
        """Return what a client is answered; None where nobody answers, or it is refused."""
        return ask(self.folder, method, **params)

    def jobs(self) -> list[dict[str, Any]]:
        status = self.ask("status")
        return status["jobs"] if status else []

    # -- accidents -----------------------------------------------------------------------------------------------------

    def accidents(self) -> list[Callable[[], None]]:
        return [
            self.kill_job,
            self.stop_job_process,
            self.kill_fork_server,
            self.stop_fork_server,
            self.kill_log_process,
            self.stop_log_process,
            self.kill_supervisor,
            self.stop_supervisor,
            self.stop_all,
            self.leave_fork_server_stopped,
            self.leave_log_process_stopped,
            self.kill_supervisor_of_stopped_helpers,
        ]

    def tell(self, what: str) -> None:
        self.story.append(f"{time.monotonic():.2f} {what}")

    def signal(self, pid: int | None, number: int, what: str) -> None:
        if pid is not None:
            self.tell(f"{what} {signal.Signals(number).name}")
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def part(self, module: str) -> int | None:
        name = f"supervisor.{module}".encode()
        with suppress(OSError):
            for pid in children(self.program.pid):
                with suppress(OSError):
                    if name in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        return pid
        return None

    def job_process(self) -> int | None:
        pids = [job["pid"] for job in self.jobs() if job["pid"]]
        return self.luck.choice(pids) if pids else None

    def kill_job(self) -> None:
        self.signal(self.job_process(), signal.SIGKILL, "job")

    def stop_job_process(self) -> None:
        pid = self.job_process()
        self.signal(pid, signal.SIGSTOP, "job")
        self.stopped += [pid] if pid is not None else []

    def kill_fork_server(self) -> None:
        self.signal(self.part("engine.forkserver"), signal.SIGKILL, "fork server")

    def stop_fork_server(self) -> None:
        self._pause(self.part("engine.forkserver"), "fork server")

    def kill_log_process(self) -> None:
        self.signal(self.part("logs.process"), signal.SIGKILL, "log process")
        self.killed.add("log process")

    def stop_log_process(self) -> None:
        self._pause(self.part("logs.process"), "log process")

    def kill_supervisor(self) -> None:
        self.signal(self.program.pid, signal.SIGKILL, "supervisor")
        self.killed.add("supervisor")

    def stop_supervisor(self) -> None:
        self._pause(self.program.pid, "supervisor")

    def stop_all(self) -> None:
        """Have everything stand still at once, and go on in any order."""
        parts = {
            "supervisor": self.program.pid,
            "fork server": self.part("engine.forkserver"),
            "log process": self.part("logs.process"),
            "job": self.job_process(),
        }
        for what, pid in parts.items():
            self.signal(pid, signal.SIGSTOP, what)
        time.sleep(self.luck.uniform(0.05, 0.3))
        for what, pid in self.luck.sample(list(parts.items()), len(parts)):
            self.signal(pid, signal.SIGCONT, what)

    def leave_fork_server_stopped(self) -> None:
        self._leave_stopped("engine.forkserver", "fork server")

    def leave_log_process_stopped(self) -> None:
        self._leave_stopped("logs.process", "log process")

    def _leave_stopped(self, module: str, what: str) -> None:
        """Stop a helper for good; one that has only just been exec'd has not asked yet to be woken at our death."""
        pid = self.part(module)
        if pid is not None and _ignores(pid, signal.SIGTERM):
            self.signal(pid, signal.SIGSTOP, f"{what}, for good")

    def kill_supervisor_of_stopped_helpers(self) -> None:
        self.leave_fork_server_stopped()
        self.leave_log_process_stopped()
        self.kill_supervisor()

    def _pause(self, pid: int | None, what: str) -> None:
        self.signal(pid, signal.SIGSTOP, what)
        time.sleep(self.luck.uniform(0.05, 0.3))
        self.signal(pid, signal.SIGCONT, what)

    # -- orders --------------------------------------------------------------------------------------------------------

    def order(self, luck: random.Random) -> None:
        """Give one order, as one of several clients; what came of it is not known here."""
        name = luck.choice([*LASTING, *PERIODS])
        method = luck.choice(["start", "stop", "restart", "trigger", "pause", "resume", "reload", "status", "scale"])
        self.tell(f"{method} {name}")
        if method == "reload":
            self.write(note=str(luck.random()))
        instances = {luck.choice(SCALED): luck.randint(1, 4)}
        self.ask(method, names=[name], name=name, instances=instances, wait=luck.random() < 0.5)

    def clients(self, count: int) -> list[threading.Thread]:
        seeds = [self.luck.random() for _ in range(count)]

        def orders(seed: float) -> None:
            luck = random.Random(seed)  # noqa: S311  # as above
            for _ in range(luck.randint(1, 4)):
                self.order(luck)
                time.sleep(luck.uniform(0, 0.1))

        threads = [threading.Thread(target=orders, args=(seed,), daemon=True) for seed in seeds]
        for thread in threads:
            thread.start()
        return threads

    # -- rounds --------------------------------------------------------------------------------------------------------

    def round(self) -> None:
        """Let some things happen at once, come to rest, and look."""
        self.tell("-- round")
        self.killed.clear()
        threads = self.clients(self.luck.randint(0, 4))
        for accident in self.luck.sample(self.accidents(), self.luck.choice([1, 1, 1, 2, 3])):
            accident()
            time.sleep(self.luck.uniform(0, 0.15))
        self.log_losses += self.killed == {"log process", "supervisor"}
        if not self.is_up or self.program.supervisor is None or self._dies_soon():
            self.run()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        self.settle()
        self.look()

    def _dies_soon(self) -> bool:
        """Tell whether a kill is under way: the signal is there before the process is gone."""
        assert self.program.supervisor is not None
        with suppress(subprocess.TimeoutExpired):
            self.program.supervisor.wait(0.05)
            return True
        return False

    def settle(self) -> None:
        """Say by one client what is wanted of each job, so that the model knows."""
        for pid in self.stopped:
            self.signal(pid, signal.SIGCONT, "job")
        self.stopped.clear()
        self.has_extra = self.luck.random() < 0.5
        self.write()
        assert self.ask("reload") is not None
        self.numbers = {name: self.luck.randint(1, 3) for name in SCALED}
        assert self.ask("scale", instances=self.numbers, wait=False) is not None
        for name in self.wanted:
            self.wanted[name] = self.luck.random() < 0.8
            if name in PERIODS:
                assert self.ask("resume", names=[name]) is not None
            assert self.ask("start" if self.wanted[name] else "stop", names=[name], wait=False) is not None
        self.tell(f"wanted {self.wanted} {self.numbers} extra {self.has_extra}")

    # -- what must never be --------------------------------------------------------------------------------------------

    def look(self) -> None:
        eventually(self._is_as_wanted)
        assert not (self.folder / "doubles").exists(), (self.folder / "doubles").read_text()
        eventually(lambda: not self.strays())
        self.look_at_history()
        log = (self.folder / "run.log").read_text()
        assert "Traceback" not in log

    def _is_as_wanted(self) -> bool:
        states: dict[str, list[str]] = {}
        for job in self.jobs():
            states.setdefault(job["name"], []).append(job["state"])
        if not states or ("extra" in states) != self.has_extra:
            return False
        for name, up in self.wanted.items():
            good = {"running"} if name in LASTING else {"waiting", "running", "starting", "backoff"}
            if not set(states[name]) <= (good if up else {"stopped"}) or len(states[name]) != self.numbers.get(name, 1):
                return False
        return True

    def strays(self) -> set[int]:
        """Return the campaign's processes that are not below its supervisor."""
        found = {pid for pid in self._marked() if Path(f"/proc/{pid}").exists()}
        return found - descendants(self.program.pid) - {self.program.pid} if found else set()

    def _marked(self) -> Iterator[int]:
        mark = f"CHAOS={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)

    def look_at_history(self) -> None:
        """Each due time has exactly one final row, none is missing, and the grid has not moved."""
        with self._history() as db:
            eventually(lambda: not self._unsettled(db))
            for name, seconds in PERIODS.items():
                for (instance,) in db.execute("SELECT DISTINCT instance FROM runs WHERE job = ?", (name,)).fetchall():
                    self._look_at_dues(db, name, instance, round(seconds * 1_000_000))

    def _history(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(f"file:{self.folder}/.jobvisor/history.db?mode=ro", uri=True))

    def _unsettled(self, db: sqlite3.Connection) -> list[tuple[str, int, int]]:
        """Return due times of a while ago without a final row; one whose fork server hung is late, not lost."""
        return db.execute(
            "SELECT job, instance, due_at FROM runs WHERE due_at < ? GROUP BY job, instance, due_at "
            "HAVING coalesce(max(final), 0) = 0",
            ((time.time() - 4) * 1_000_000,),
        ).fetchall()

    def _look_at_dues(self, db: sqlite3.Connection, name: str, instance: int, step: int) -> None:
        old = (time.time() - 4) * 1_000_000
        rows = db.execute(
            "SELECT due_at, final, trigger FROM runs WHERE job = ? AND instance = ? AND due_at < ?",
            (name, instance, old),
        ).fetchall()
        label = f"{name}:{instance}"
        finals = Counter(due for due, final, _ in rows if final)
        doubled = {due: count for due, count in finals.items() if count != 1}
        assert not doubled, f"{label}: more than one final row: {doubled}"
        dues = set(finals) - {due for due, _, trigger in rows if trigger == "manual"}
        if not dues or instance > 1:
            return  # another one comes and goes, and begins a grid of its own each time
        first = min(dues)
        assert all((due - first) % step == 0 for due in dues), f"{label}: off its grid"
        missing = set(range(first, max(dues), step)) - dues
        assert not missing, f"{label}: no row of {sorted(missing)} of {first}…{max(dues)}"

    def look_at_logs(self) -> None:
        """Every line that a writer got rid of is in its log, whole, once and in order; call it at the end."""
        lines: dict[str, list[int]] = {}
        torn: list[str] = []
        for line in (self.folder / ".jobvisor" / "logs" / "writer.log").read_text().splitlines():
            words = line.split()
            if line.startswith(DUMPED):
                continue
            if [len(words), *words[::2]] == [4, "run", "line"]:
                lines.setdefault(words[1], []).append(int(words[3]))
            else:
                torn.append(line)
        assert len(torn) <= self.log_losses, torn
        gaps = 0
        for path in (self.folder / "said").iterdir():
            run, said = path.name.partition(".")[2], int(path.read_text() or 0)
            found = lines.get(run, [])
            assert found == sorted(set(found)), f"run {run}: lines doubled or out of order"
            missing = set(range(1, said + 1)) - set(found)
            gaps += sum(1 for number in missing if number - 1 not in missing)
        assert gaps <= self.log_losses, (
            f"{gaps} gaps, and {self.log_losses} times log process and supervisor were killed at once"
        )


def _ignores(pid: int, number: int) -> bool:
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        ignored = next(int(line.split()[1], 16) for line in status if line.startswith("SigIgn:"))
        return bool(ignored >> (number - 1) & 1)
    return False


@contextmanager
def campaign(folder: Path, seed: int) -> Iterator[Campaign]:
    """Begin a campaign, and leave nothing of it behind."""
    made = Campaign(folder, seed)
    made.program.write("", chaos=WRITERS)
    made.write()
    made.run()
    try:
        yield made
        made.program.end()
        eventually(lambda: not list(made._marked()))
        made.look_at_logs()
    finally:
        made.program.end()
        for pid in made._marked():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
