"""Work of the event loop that goes in slices, so that it never holds the loop for long."""

import asyncio
import time
from collections.abc import Callable, Iterator

SLICE = 0.002
"""Seconds after which the loop has its turn again."""


def in_slices(loop: asyncio.AbstractEventLoop, work: Iterator[None], done: Callable[[], None]) -> None:
    """Do ``work``, which yields wherever it may rest: a slice now, the others in later turns; then call ``done``."""

    def go_on() -> None:
        until = time.monotonic() + SLICE
        for _ in work:
            if time.monotonic() > until:
                loop.call_soon(go_on)
                return
        done()

    go_on()
