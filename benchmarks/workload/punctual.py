"""A job that says how late it is: its first instruction reads the clock.

It appends ``due lateness`` (seconds since 1970, seconds) to ``$BENCH_LINES``, in one atomic write.
"""

import os
import time
from datetime import datetime


def main() -> None:
    """Be a run of Jobvisor, or of the floor, which are told what they are due for."""
    now = time.time()
    _say(datetime.fromisoformat(os.environ["JOBVISOR_DUE"]).timestamp(), now)


def at_phase(offset: float, interval: float) -> None:
    """Be a run of APScheduler, which does not say for which due time it runs: it counts as the last one."""
    now = time.time()
    _say((now - offset) // interval * interval + offset, now)


def _say(due: float, now: float) -> None:
    _append(os.environ["BENCH_LINES"], b"%.6f %.6f\n" % (due, now - due))
    _append(os.environ["BENCH_ARRIVALS"], b"%d\n" % os.getpid())


def _append(path: str, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line)
    os.close(fd)
