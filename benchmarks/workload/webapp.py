"""The job of every benchmark: imports what a web application does, says that it runs, and waits.

The same file is the target of ``run`` jobs, the script of ``command`` jobs and of supervisord's programs, and what the
floor forks, so that all of them start the same thing and say so by the same means.
"""

import asyncio  # noqa: F401
import concurrent.futures  # noqa: F401
import email.message  # noqa: F401
import http.client  # noqa: F401
import json  # noqa: F401
import logging.config  # noqa: F401
import os
import signal
import sqlite3  # noqa: F401
import ssl  # noqa: F401
import urllib.request  # noqa: F401
import xml.etree.ElementTree as ET  # noqa: F401


def main() -> None:
    """Print a line, then say so on the FIFO that the benchmark reads; live until killed."""
    print("started", flush=True)
    fifo = os.open(os.environ["BENCH_ARRIVALS"], os.O_WRONLY)
    os.write(fifo, b"%d\n" % os.getpid())
    os.close(fifo)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
