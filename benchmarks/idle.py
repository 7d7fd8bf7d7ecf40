"""What supervision costs while nothing happens: 100 jobs that only wait."""

import sys
import time

from processes import Activity, activity, children
from report import Row, report
from sides import Started, jobvisor, started, supervisord_side

JOBS = 100
SETTLED_AFTER = 5.0
"""Seconds after which the work of the start is over: records are written, first samples taken."""
MINUTE = 60.0
QUIET = 20.0
"""Seconds watched without vitals."""


def done_in(sides: list[list[int]], seconds: float) -> list[Activity]:
    """Return what the processes of each side did in so many seconds."""
    before = [activity(pids) for pids in sides]
    time.sleep(seconds)
    return [activity(pids) - then for pids, then in zip(sides, before, strict=True)]


def parts(side: Started) -> list[int]:
    """Return the supervisor, its fork server and its log process."""
    return [side.pid, *children(side.pid)]


def measure() -> list[Row]:
    """Without vitals nothing may wake; with them, at their default, a minute may cost 50 ms."""
    with (
        started(jobvisor(JOBS), JOBS) as own,
        started(jobvisor(JOBS, vitals="off"), JOBS) as silent,
        started(supervisord_side(JOBS), JOBS) as peer,
    ):
        time.sleep(SETTLED_AFTER)
        ours, theirs = done_in([parts(own), [peer.pid]], MINUTE)
        (quiet,) = done_in([parts(silent)], QUIET)
    return [
        Row(what="CPU in an idle minute", value=ours.cpu * 1000, unit="ms", most=50),
        Row(
            what="CPU in an idle minute",
            value=ours.cpu * 1000,
            unit="ms",
            beside="supervisord",
            other=theirs.cpu * 1000,
        ),
        Row(
            what="wake-ups in an idle minute",
            value=ours.wakeups,
            unit="",
            beside="supervisord",
            other=theirs.wakeups,
        ),
        Row(what=f"wake-ups in {QUIET:g} s without vitals", value=quiet.wakeups, unit="", most=0),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
