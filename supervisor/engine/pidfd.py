"""Waiting on the event loop for the end of a process."""

import asyncio
import os


async def ended(loop: asyncio.AbstractEventLoop, pidfd: int) -> None:
    """Return when the process of a pidfd has ended (it may still be a zombie); closes the pidfd."""
    over: asyncio.Future[None] = loop.create_future()
    loop.add_reader(pidfd, _settle, over)
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
