"""What 100 jobs and their supervision keep of the machine's memory.

The supervision is three processes beside one. PSS is judged, as it counts once what they share; RSS, which counts the
pages of one interpreter three times, is shown.
"""

import sys
from statistics import median

from processes import children, memory
from report import Row, report
from sides import Started, floor, jobvisor, started, supervisord_side

JOBS = 100
MB = 1e6


def owned(side: Started) -> float:
    """Return what a job of this side owns alone, in MB, in the median."""
    return median(memory(pid).uss for pid in side.jobs) / MB


def measure() -> list[Row]:
    """Compare the jobs with the floor's, and the supervision (supervisor, fork server, log process) with the peer."""
    with started(floor(JOBS), JOBS) as bare:
        floors = owned(bare)
    with started(jobvisor(JOBS), JOBS) as own:
        jobs = owned(own)
        parts = [memory(pid) for pid in (own.pid, *children(own.pid))]
    with started(supervisord_side(JOBS), JOBS) as side:
        peer = memory(side.pid)
    pss = sum(part.pss for part in parts) / MB
    rss = sum(part.rss for part in parts) / MB
    return [
        Row(what="a job owns (USS)", value=jobs, unit="MB", beside="floor", other=floors, most=1.5),
        Row(what="supervision (PSS)", value=pss, unit="MB", beside="supervisord", other=peer.pss / MB, most=2.0),
        Row(what="supervision (RSS)", value=rss, unit="MB", beside="supervisord", other=peer.rss / MB),
    ]


if __name__ == "__main__":
    sys.exit(report(measure()))
