"""How long 500 long-lived Python jobs take, from the start of the program to the last job's first line."""

import sys
from statistics import median

from report import Row, report
from sides import Side, floor, jobvisor, started, supervisord_side

JOBS = 500
ROUNDS = 5


def seconds(side: Side) -> float:
    with started(side, JOBS) as running:
        return running.seconds


def measure() -> list[Row]:
    """Start each side alone, in turns where it is quick, so that all meet the same machine."""
    peer = seconds(supervisord_side(JOBS))
    commands = seconds(jobvisor(JOBS, target="command"))
    turns = [(seconds(floor(JOBS)), seconds(jobvisor(JOBS))) for _ in range(ROUNDS)]
    bare = median(turn[0] for turn in turns)
    runs = median(turn[1] for turn in turns)
    what = f"start {JOBS} jobs"
    return [
        Row(what=f"{what}, run", value=runs, unit="s", beside="supervisord", other=peer, most=0.1),
        Row(what=f"{what}, command", value=commands, unit="s", beside="supervisord", other=peer, most=1.0),
        Row(what=f"{what}, run", value=runs, unit="s", beside="floor", other=bare, most=1.6),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
