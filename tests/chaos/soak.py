"""A long life in short: many jobs of all kinds, and people who keep giving orders, reload, and kill.

In its first third the fork server and the log process are killed and replaced too; later they live, so that what grows
in them is seen.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from asking import ask
from conftest import descendants, eventually, is_alive
from gauges import Sample, sample
from program import Program

CODE = """
import itertools, os, time
from supervisor import Worker, job

def talks(name):
    job.ready()
    for number in itertools.count(1):
        print(name, "says", number, "x" * (number % 200), flush=True)
        time.sleep(0.5)

def beats(total):
    job.ready()
    for number in itertools.count(1):
        job.heartbeat()
        job.progress(number % total, total, note=f"step {number}")
        if number % 10 == 0:
            job.checkpoint({"number": number})
        time.sleep(0.2)

def passes(seconds):
    print("passes", job.run_id, job.due)
    time.sleep(seconds)

def fails():
    print("about to fail")
    raise ValueError(f"run {job.run_id} fails, as it should")

class Counts(Worker):
    def start(self):
        self.ticks = self.calls = 0
    def tick(self):
        self.ticks += 1
        print("tick", self.ticks)
    def call(self, request):
        self.calls += 1
        return {"calls": self.calls, "request": request}
"""
# So little is kept that the slowest job has more before the first third is over.
HEAD = """
[supervisor]
preload = ["jobs.soak"]
vitals = "2s"
history = { keep_runs = 3 }
[defaults]
stop_timeout = "2s"
settle = "100ms"
backoff = { initial = "100ms", max = "2s" }
log = { max_size = "2K", keep = 1 }
[groups.crew]
strategy = "one_for_all"
[groups.line]
strategy = "rest_for_one"
"""
SHARES = {"sleeper": 50, "crew": 10, "talker": 30, "beater": 20, "counter": 20, "passer": 30, "failer": 10, "echo": 30}
"""Of 200 jobs."""


def job_table(kind: str, number: int, note: str) -> str:
    """Return the table of one job."""
    every = f"{2 + number % 4}s"
    group = ("", 'group = "line"\n')[number < 5]
    kinds = {
        "sleeper": f'command = ["sleep", "1000"]\n{group}',
        "crew": 'command = ["sleep", "1000"]\ngroup = "crew"\n',
        "talker": f'run = "jobs.soak:talks"\nargs = ["talker{number}"]\nready = "notify"\n',
        "beater": 'run = "jobs.soak:beats"\nargs = [1000]\nready = "notify"\nheartbeat = "30s"\n',
        "counter": f'run = "jobs.soak:Counts"\nevery = "{every}"\n',
        "passer": f'run = "jobs.soak:passes"\nargs = [0.2]\nevery = "{every}"\nlate_after = "30s"\n',
        "failer": f'run = "jobs.soak:fails"\nevery = "{every}"\nretries = 1\n',
        "echo": f'command = "echo $JOBVISOR_RUN_ID"\nshell = true\nevery = "{every}"\n',
    }
    return f'[jobs.{kind}{number}]\ndescription = "{note}"\nenv = {{ NOTE = "{note}" }}\n{kinds[kind]}'


class Soak:
    """One program, and what is done to it."""

    def __init__(self, folder: Path, *, jobs: int, seconds: float, seed: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.luck = random.Random(seed)  # noqa: S311  # a soak is to be repeated
        self.program = Program(folder)
        self.done: Counter[str] = Counter()
        """What was ordered, and how often."""
        self.refused: Counter[str] = Counter()
        """Of these, what was not done: a job that is on its way up or down can do little."""
        self.samples: list[Sample] = []
        self.notes: dict[tuple[str, int], str] = {}
        for kind, share in SHARES.items():
            self.notes |= {(kind, number): "as it was" for number in range(max(1, share * jobs // 200))}
        self.has_guest = False
        self.write()

    def write(self) -> None:
        guest = job_table("talker", 999, "here for a while") if self.has_guest else ""
        tables = [job_table(kind, number, note) for (kind, number), note in self.notes.items()]
        self.program.write(HEAD + "".join(tables) + guest, soak=CODE)

    # -- what people do ------------------------------------------------------------------------------------------------

    def one(self, *kinds: str) -> str:
        kind, number = self.luck.choice([key for key in self.notes if not kinds or key[0] in kinds])
        return f"{kind}{number}"

    def ask(self, method: str, **params: Any) -> Any:
        answer = ask(self.folder, method, **params)
        self.done[method] += 1
        if answer is None:
            self.refused[method] += 1
        return answer

    def restart(self) -> None:
        self.ask("restart", names=[self.one()], wait=False)

    def stop_and_start(self) -> None:
        name = self.one("sleeper", "talker", "beater", "passer")
        self.ask("stop", names=[name], wait=True)
        self.ask("start", names=[name], wait=False)

    def trigger(self) -> None:
        self.ask("trigger", name=self.one("passer", "failer", "echo", "counter"))

    def pause_and_resume(self) -> None:
        name = self.one("passer", "echo")
        self.ask("pause", names=[name])
        self.ask("resume", names=[name])

    def scale(self) -> None:
        self.ask("scale", instances={"sleeper0": self.luck.randint(1, 3)}, wait=False)

    def talk(self) -> None:
        self.ask("state", names=[self.one("counter")])
        self.ask("call", names=[self.one("counter")], content={"how": "are you"})

    def look(self) -> None:
        self.ask("status")
        self.ask("show", name=self.one())
        self.ask("stack", names=[self.one("talker", "beater")])

    def reload(self) -> None:
        for _ in range(3):
            self.notes[self.luck.choice(list(self.notes))] = f"edited {self.luck.random():.6f}"
        self.has_guest = not self.has_guest
        self.write()
        self.ask("reload")

    def kill(self) -> None:
        self.done["kill of a job"] += 1
        status = ask(self.folder, "status") or {"jobs": []}
        pids = [job["pid"] for job in status["jobs"] if job["pid"]]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.luck.choice(pids), signal.SIGKILL)

    def replace(self) -> None:
        """Have a part of the program replaced: by its death, or by fresh code."""
        what = self.luck.choice(["engine.forkserver", "logs.process", "code"])
        if what == "code":
            self.ask("reload", code=True)
            return
        self.done[f"kill of {what}"] += 1
        with suppress(LookupError, OSError):
            os.kill(self.program.part(what), signal.SIGKILL)

    # -- a life --------------------------------------------------------------------------------------------------------

    def live(self, *, looks: int = 180) -> None:
        """Give an order about each half second, and take so many samples."""
        self.program.run()
        began = time.monotonic()
        doings: dict[Callable[[], None], int] = {
            self.restart: 4, self.stop_and_start: 2, self.trigger: 5, self.pause_and_resume: 2, self.scale: 1,
            self.talk: 4, self.look: 4, self.reload: 1, self.kill: 3,
        }  # fmt: skip
        replace_every = self.seconds / 30
        replaced_at = began
        while (age := time.monotonic() - began) < self.seconds:
            if age < self.seconds / 3 and time.monotonic() - replaced_at > replace_every:
                replaced_at = time.monotonic()
                self.replace()
            self.luck.choices(list(doings), list(doings.values()))[0]()
            time.sleep(0.5)
            if age >= len(self.samples) * self.seconds / looks:
                self.samples.append(self.sample())

    def sample(self) -> Sample:
        def taken() -> Sample | None:
            with suppress(psutil.Error, FileNotFoundError):
                return sample(self.program)
            return None

        return eventually(taken, within=60)

    def end(self) -> int:
        """Shut down; return how many runs there have been."""
        family = descendants(self.program.pid)
        runs = max(job["last"]["run_id"] for job in ask(self.folder, "status")["jobs"] if job["last"])
        self.program.end()
        assert self.program.supervisor is not None
        assert self.program.supervisor.returncode == 0
        eventually(lambda: not any(map(is_alive, family)))
        return int(runs)


@contextmanager
def soaking(folder: Path, *, jobs: int, seconds: float, seed: int) -> Iterator[Soak]:
    """Give a program to be soaked, and leave nothing of it behind."""
    made = Soak(folder, jobs=jobs, seconds=seconds, seed=seed)
    try:
        yield made
    finally:
        made.program.end()
