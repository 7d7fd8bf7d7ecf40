"""Telling a person at a terminal what an order still waits for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

from supervisor.answers.shell import Shell
from supervisor.core.states import is_at_rest
from supervisor.waiters import again

_AWAITED: ContextVar[set[str]] = ContextVar("awaited", default=set())  # noqa: B039  # of those who do not ask
"""The labels of the slots that a request waits for."""


@contextmanager
def awaiting(label: str) -> Iterator[None]:
    """Count a slot among those that the request waits for, as long as the context lasts."""
    awaited = _AWAITED.get()
    awaited.add(label)
    try:
        yield
    finally:
        awaited.discard(label)


async def with_progress(shell: Shell, work: Awaitable[Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the instances that an order still waits for, after each change, and at last what came of it.

    Who no longer listens no longer waits; what was ordered stays ordered.
    """
    awaited: set[str] = set()
    context = copy_context()
    context.run(_AWAITED.set, awaited)
    task = asyncio.get_running_loop().create_task(_done(work), context=context)
    try:
        with shell.lookers.looking() as changed:
            while not task.done():
                yield {"waiting": await shell.lookers.look(lambda: _waiting(shell, awaited))}
                await again(changed, unless=task)
        yield {"done": task.result()}
    finally:
        task.cancel()


def _waiting(shell: Shell, awaited: Collection[str]) -> list[str]:
    if shell.board.ending is None:
        return sorted(awaited)
    return [slot.label for slot in shell.board.slots.values() if not is_at_rest(slot.state)]


async def _done(work: Awaitable[Any]) -> Any:
    return await work
