"""How late runs are: from the due time to the first instruction of the job's function, and how many runs are lost.

100 jobs a second, once spread over it by ``offset``, once all at the same instant.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import peers
from report import Row, report
from sides import HERE, OWN, WORKLOAD, Side, started

JOBS = 100
SECONDS = 20
"""Due times of so many seconds are looked at."""
GRACE = 3.0
"""Seconds after which a run that was due has come, or is lost."""
APSCHEDULER = "3.11.0"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of the runs of one side, in milliseconds; and how many of its due times had none."""

    p50: float
    p99: float
    lost: int


def ours(interval: float, step: float) -> Side:
    """Return our side: jobs that are due each ``interval`` seconds, each ``step`` seconds after the one before it."""
    top = f'[supervisor]\npreload = ["punctual", "webapp"]\npythonpath = [{json.dumps(str(WORKLOAD))}]\n'
    jobs = "".join(
        f'[jobs.job{number}]\nrun = "punctual:main"\nalign = "clock"\n'
        f'every = "{interval:g}s"\noffset = "{number * step * 1000:g}ms"\n'
        for number in range(JOBS)
    )

    def prepare(folder: Path) -> list[str]:
        (folder / "jobs.toml").write_text(top + jobs)
        return [*OWN, "run"]

    return prepare


def pool(interval: float, step: float) -> Side:
    """Return APScheduler's side."""
    python = peers.installed("apscheduler", APSCHEDULER) / "python"
    return lambda _: [str(python), str(HERE / "apscheduler_pool.py"), str(JOBS), str(interval), str(step)]


def floor(interval: float) -> Side:
    """Return the bare fork's side, for one instant."""
    return lambda _: [sys.executable, str(HERE / "floor_instant.py"), str(JOBS), str(interval)]


def lateness(side: Side, interval: float) -> Lateness:
    """Let a side run for a while, once each of its jobs has run."""
    with started(side, JOBS) as running:
        begin = time.time() + 1
        time.sleep(1 + SECONDS + GRACE)
        lines = (running.folder / "lines").read_text().splitlines()
    seen = [(float(due), float(late)) for due, late in map(str.split, lines)]
    found = [late * 1000 for due, late in seen if begin <= due < begin + SECONDS]
    percentiles = quantiles(found, n=100, method="inclusive")
    return Lateness(percentiles[49], percentiles[98], round(JOBS * SECONDS / interval) - len(found))


def measure() -> list[Row]:
    return [*_spread(), *_at_one_instant()]


def _spread() -> list[Row]:
    own, peer = (lateness(side(1, 1 / JOBS), 1) for side in (ours, pool))
    what = f"{JOBS} jobs a second, spread"
    beside = "APScheduler"
    return [
        Row(what=f"{what}: late, p50", value=own.p50, unit="ms", beside=beside, other=peer.p50),
        Row(what=f"{what}: late, p99", value=own.p99, unit="ms", most=50),
        Row(what=f"{what}: late, p99", value=own.p99, unit="ms", beside=beside, other=peer.p99),
        Row(what=f"{what}: runs lost", value=own.lost, unit="", most=0),
        Row(what=f"{what}: runs lost", value=own.lost, unit="", beside=beside, other=peer.lost),
    ]


def _at_one_instant() -> list[Row]:
    interval = 2.0
    own, bare, peer = (lateness(side, interval) for side in (ours(interval, 0), floor(interval), pool(interval, 0)))
    what = f"{JOBS} jobs at one instant"
    return [
        Row(what=f"{what}: late, p50", value=own.p50, unit="ms", beside="floor", other=bare.p50),
        Row(what=f"{what}: late, p99", value=own.p99, unit="ms", beside="floor", other=bare.p99, most=2.0),
        Row(what=f"{what}: late, p99", value=own.p99, unit="ms", beside="APScheduler", other=peer.p99),
        Row(what=f"{what}: runs lost", value=own.lost, unit="", most=0),
        Row(what=f"{what}: runs lost", value=own.lost, unit="", beside="APScheduler", other=peer.lost),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
