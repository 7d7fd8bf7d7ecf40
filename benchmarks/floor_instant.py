"""The floor of many runs due at one instant: fork them one after another, with ``multiprocessing`` alone.

``python floor_instant.py COUNT INTERVAL``; ends on SIGTERM.
"""

import gc
import multiprocessing
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("workload")))
import punctual
import webapp  # noqa: F401  # what Jobvisor's side preloads too

forking = multiprocessing.get_context("fork")


def main(count: int, interval: float) -> None:
    signal.signal(signal.SIGTERM, end)
    gc.collect()
    gc.freeze()
    while True:
        due = (time.time() // interval + 1) * interval
        os.environ["JOBVISOR_DUE"] = datetime.fromtimestamp(due, UTC).isoformat()
        time.sleep(max(0.0, due - time.time()))
        jobs = [forking.Process(target=punctual.main) for _ in range(count)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()


def end(*_: object) -> None:
    """End at once, and leave no process that still writes into the folder; in a job there is none to end."""
    jobs = multiprocessing.active_children()
    for job in jobs:
        job.kill()
    for job in jobs:
        job.join()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
