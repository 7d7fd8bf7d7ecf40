"""The floor: what forking and replacing costs with ``multiprocessing`` alone, no supervision, no logs, no records.

A parent that has imported the application forks every job, waits on their sentinels, and forks another for each that
ends. Run as ``python floor.py COUNT``.
"""

import gc
import multiprocessing
import multiprocessing.connection
import signal
import sys
from pathlib import Path
from typing import Never

sys.path.insert(0, str(Path(__file__).with_name("workload")))
import webapp

forking = multiprocessing.get_context("fork")


def main(count: int) -> Never:
    gc.collect()
    gc.freeze()  # what Python's documentation advises before a fork: children then share more
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    jobs = [fork() for _ in range(count)]
    by_sentinel = {job.sentinel: job for job in jobs}
    try:
        while True:
            for sentinel in multiprocessing.connection.wait(list(by_sentinel)):
                assert isinstance(sentinel, int)
                by_sentinel.pop(sentinel).join()
                replacement = fork()
                by_sentinel[replacement.sentinel] = replacement
    finally:
        for job in by_sentinel.values():
            job.kill()
        for job in by_sentinel.values():
            job.join()


def fork() -> "multiprocessing.context.ForkProcess":
    process = forking.Process(target=webapp.main)
    process.start()
    return process


if __name__ == "__main__":
    main(int(sys.argv[1]))
