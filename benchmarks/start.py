"""How long 500 long-lived Python jobs take, from the start of the program to the last job's first line."""

import sys
from dataclasses import dataclass
from statistics import median

from report import Row, report
from sides import Side, floor, jobvisor, started, supervisord_side

JOBS = 500
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one start."""

    whole: float
    from_first_line: float


def take(side: Side) -> Took:
    with started(side, JOBS) as running:
        return Took(running.seconds, running.spread)


def measure() -> list[Row]:
    """Start each side alone, in turns where it is quick, so that all meet the same machine."""
    peer = take(supervisord_side(JOBS)).whole
    commands = take(jobvisor(JOBS, target="command")).whole
    turns = [(take(floor(JOBS)), take(jobvisor(JOBS))) for _ in range(ROUNDS)]
    bare = median(turn[0].whole for turn in turns)
    runs = median(turn[1].whole for turn in turns)
    what = f"start {JOBS} jobs"
    return [
        Row(what=f"{what}, run", value=runs, unit="s", beside="supervisord", other=peer, most=0.1),
        Row(what=f"{what}, command", value=commands, unit="s", beside="supervisord", other=peer, most=1.0),
        Row(what=f"{what}, run", value=runs, unit="s", beside="floor", other=bare, most=1.6),
        Row(
            what=f"{what}, run, from the first line on",
            value=median(turn[1].from_first_line for turn in turns),
            unit="s",
            beside="floor",
            other=median(turn[0].from_first_line for turn in turns),
        ),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
