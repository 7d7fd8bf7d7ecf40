"""How long a SIGKILLed job is gone: from the kill to the first line of the process that replaces it."""

import os
import signal
import sys
import time
from statistics import median

from report import Row, report
from sides import Started, floor, jobvisor, started, supervisord_side

JOBS = 100
KILLS = 100
PEER_KILLS = 8
PAUSE = 0.02
"""Seconds between two kills: jobs do not die in step."""


def milliseconds_gone(side: Started, number: int) -> float:
    """Kill one job of a side and return how long it was gone."""
    victim = side.jobs.pop(number % len(side.jobs))
    time.sleep(PAUSE)
    killed_at = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    side.jobs.extend(side.arrivals.wait(1))
    return (time.monotonic() - killed_at) * 1000


def measure() -> list[Row]:
    """Kill jobs of all sides in turns, with all of them up, so that all meet the same machine."""
    with (
        started(floor(JOBS), JOBS) as bare,
        started(jobvisor(JOBS), JOBS) as ours,
        started(supervisord_side(JOBS), JOBS) as peer,
    ):
        turns = [(milliseconds_gone(bare, number), milliseconds_gone(ours, number)) for number in range(KILLS)]
        peers = median(milliseconds_gone(peer, number) for number in range(PEER_KILLS))
    floors = median(turn[0] for turn in turns)
    own = median(turn[1] for turn in turns)
    what = f"replace a killed job, {JOBS} jobs"
    return [
        Row(what=what, value=own, unit="ms", beside="floor", other=floors, most=1.8),
        Row(what=what, value=own, unit="ms", beside="supervisord", other=peers),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
