"""How long ``status`` takes a person: the whole command, for 100 jobs."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

import supervisord
from report import Row, report
from sides import OWN, Started, jobvisor, started, supervisord_side

JOBS = 100
ROUNDS = 21


def milliseconds(argv: Sequence[str], side: Started) -> float:
    """Run the command in the side's folder, and return how long it took; every job must be in its answer."""
    began = time.monotonic()
    answer = subprocess.run(argv, cwd=side.folder, capture_output=True, text=True, check=False)
    took = (time.monotonic() - began) * 1000
    listed = [line for line in answer.stdout.splitlines() if "job" in line]
    assert len(listed) == JOBS, f"{argv}: {answer.stdout[-500:]}{answer.stderr[-500:]}"
    return took


def measure() -> list[Row]:
    """Ask both in turns, with both up."""
    theirs = [str(supervisord.installed() / "supervisorctl"), "-c", "supervisord.conf", "status"]
    with started(jobvisor(JOBS), JOBS) as own, started(supervisord_side(JOBS), JOBS) as peer:
        turns = [(milliseconds([*OWN, "status"], own), milliseconds(theirs, peer)) for _ in range(ROUNDS)]
    return [
        Row(
            what=f"status of {JOBS} jobs",
            value=median(turn[0] for turn in turns),
            unit="ms",
            beside="supervisorctl",
            other=median(turn[1] for turn in turns),
            most=0.5,
        )
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
