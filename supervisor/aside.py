"""Work that may block, done beside the loop by a thread of its own, which nothing waits for at the end.

asyncio's own executor would be joined when the loop ends: a file on a disk that hangs would hold up the end for ever.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises.

    Raises:
        OSError: no thread is to be had.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():  # who asked has given up
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # what the work has returned

    def serve() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # who asked is told of it
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    try:
        Thread(target=serve, daemon=True).start()
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return await done
