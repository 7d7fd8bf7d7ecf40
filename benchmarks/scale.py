"""What scheduled jobs cost the core alone: 100, 1,000 and 10,000 of them, on a virtual clock, each in a fresh process.

An event is a fact that the core answers: a due time, a row on disk, a process up, a process ended. The rate includes
the simulation that hands them in.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from math import log
from pathlib import Path
from statistics import median

from processes import memory
from report import Row, report

from supervisor.core.actions import Action, Keep
from supervisor.core.board import Board, Rules
from supervisor.core.instants import Now
from supervisor.core.job import Limit
from supervisor.core.runs import NotRun, Opened
from supervisor.core.simulation import Simulation
from supervisor.load import load

SIZES = (100, 1000, 10_000)
EVENTS = 40_000
"""So many are timed, at least."""
ROUNDS = 3
KINDS = ('every = "5m"', 'cron = "*/5 * * * *"', 'delay = "5m"', 'every = "5m"\nalign = "clock"')
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LENGTH = timedelta(seconds=20)


def manifest(count: int) -> str:
    """Return so many jobs, of all kinds, whose due times are spread over five minutes where their kind allows."""
    return "".join(f'[jobs.job{n}]\ncommand = ["true"]\n{KINDS[n % len(KINDS)]}\n{_spread(n)}' for n in range(count))


def _spread(number: int) -> str:
    return f'offset = "{number % 300}s"\n' if "every" in KINDS[number % len(KINDS)] else ""


def alone(count: int) -> dict[str, float]:
    """Load so many jobs and let their board run; return seconds, megabytes, and seconds per event."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "jobs.toml")
        path.write_text(manifest(count))
        gc.collect()
        before = memory(os.getpid()).rss
        began = time.perf_counter()
        jobs = load(path, {}).jobs
        seen = Seen()
        rules = Rules(root=Limit(max_restarts=0, within=timedelta(seconds=60)))
        board = Board(rules, seed="seed", boot="boot", next_run_id=1)
        simulation = Simulation(board=board, now=Now(NOON, timedelta(0)), watch=seen)
        simulation.begin(jobs, {})
        loaded = time.perf_counter() - began
        cost = memory(os.getpid()).rss - before
    gc.collect()
    gc.freeze()
    began, until = time.perf_counter(), NOON
    while seen.events < EVENTS:
        until += timedelta(minutes=5)
        simulation.until(until, lasting=lambda _: LENGTH)
    return {"load_s": loaded, "mb": cost / 1e6, "event_s": (time.perf_counter() - began) / seen.events}


class Seen:
    """Counts events by the rows that the board keeps: four to a run, one to a due time that is not run."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self, order: Action, _: Now) -> None:
        """Count what one order stands for."""
        match order:
            case Keep(record=Opened()):
                self.events += 4
            case Keep(record=NotRun()):
                self.events += 1


def measured(count: int) -> dict[str, float]:
    """Return the medians of some fresh processes."""
    argv = [sys.executable, __file__, str(count)]
    rounds = [json.loads(subprocess.run(argv, capture_output=True, check=True).stdout) for _ in range(ROUNDS)]
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def measure() -> list[Row]:
    found = {count: measured(count) for count in SIZES}
    few, many = found[SIZES[0]], found[SIZES[-1]]
    rows = [
        Row(what=f"core, an event of {count:,} jobs", value=each["event_s"] * 1e6, unit="us", most=50)
        for count, each in found.items()
    ]
    growth = log(SIZES[-1]) / log(SIZES[0])
    beside = f"{SIZES[0]} jobs"
    return [
        *rows,
        Row(
            what=f"core, an event of {SIZES[-1]:,} jobs",
            value=many["event_s"] * 1e6,
            unit="us",
            beside=beside,
            other=few["event_s"] * 1e6,
            most=growth,
        ),
        Row(what=f"load {SIZES[-1]:,} jobs", value=many["load_s"], unit="s", most=3),
        Row(what=f"memory of {SIZES[-1]:,} jobs", value=many["mb"], unit="MB", most=100),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(alone(int(sys.argv[1]))))
    else:
        sys.exit(report(measure()))
