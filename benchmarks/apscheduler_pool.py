"""The peer: APScheduler with a pool of processes that it uses again, run by the Python of its own environment.

``python apscheduler_pool.py COUNT INTERVAL STEP``: so many jobs, all each so many seconds, each so many seconds after
the one before it.
"""

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("workload")))

import punctual
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

WORKERS = 8
"""More than there are processors, fewer than jobs: what its users set."""


def main(count: int, interval: float, step: float) -> None:
    scheduler = BlockingScheduler(timezone=UTC, executors={"default": ProcessPoolExecutor(WORKERS)})
    first = (datetime.now(UTC).timestamp() // interval + 2) * interval
    for number in range(count):
        at = datetime.fromtimestamp(first, UTC) + timedelta(seconds=number * step)
        scheduler.add_job(
            punctual.at_phase,
            "interval",
            args=(number * step, interval),
            seconds=interval,
            start_date=at,
            misfire_grace_time=None,
            coalesce=False,
            max_instances=1,
        )
    signal.signal(signal.SIGTERM, lambda *_: scheduler.shutdown(wait=False))
    scheduler.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
