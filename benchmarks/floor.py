"""The floor: what forking and replacing costs with ``multiprocessing`` alone, no supervision, no logs, no records.

A parent that has imported the application forks every job, waits on their sentinels, and forks another for each that
ends. Run as ``python floor.py COUNT``.
"""

import gc
import multiprocessing
import multiprocessing.connection
import signal
import socket
import sys
from multiprocessing.context import ForkProcess
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("workload")))
import webapp

forking = multiprocessing.get_context("fork")


def main(count: int) -> None:
    gc.collect()
    gc.freeze()  # what Python's documentation advises before a fork: children then share more
    asked, asks = socket.socketpair()
    asks.setblocking(False)
    signal.set_wakeup_fd(asks.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)  # it wakes the wait below, and never comes in between
    jobs: dict[object, ForkProcess] = {job.sentinel: job for job in (fork() for _ in range(count))}
    while asked not in (ready := multiprocessing.connection.wait([*jobs.keys(), asked])):  # type: ignore[list-item]
        for sentinel in ready:
            jobs.pop(sentinel).join()
            replacement = fork()
            jobs[replacement.sentinel] = replacement
    for job in jobs.values():
        job.kill()
    for job in jobs.values():
        job.join()


def fork() -> ForkProcess:
    process = forking.Process(target=webapp.main)
    process.start()
    return process


if __name__ == "__main__":
    main(int(sys.argv[1]))
