"""A Worker's mailbox as the supervisor sees it: what was put in and is not served yet, and who waits for an answer.

The Worker answers every message once it has served it, a cast too, so what is under way is known and bounded: a Worker
that hangs, or a client that floods it, costs a full mailbox and nothing more.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from supervisor.engine.channel import LARGEST_MESSAGE
from supervisor.values import dataclass
from supervisor.wire import Message

MOST_MESSAGES = 256
MOST_BYTES = 4 * 1024 * 1024
"""Of the messages under way to one Worker."""
CLAIMED_WITHIN = 60.0
"""Seconds after an exec in which those who waited for an answer come back for it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a Worker answered: a JSON value, or why there is none."""

    value: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was not put in, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A message that was put in, by its number; ``answer`` is what the Worker answers, or why it will not."""

    ask: int
    answer: "asyncio.Future[Reply]"
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedMailbox:
    """What of a mailbox crosses an exec."""

    next: int
    """The number of the next message."""
    posted: tuple[tuple[int, int], ...]
    """Number and size of each message that is not served yet."""


class Mailbox:
    """The messages of one process, in the order in which they were put in."""

    def __init__(self, loop: asyncio.AbstractEventLoop, put: Callable[[Message], None]) -> None:
        self._loop = loop
        self._put = put
        self._next = 1
        self._posted: dict[int, Posted] = {}
        self._inherited: dict[int, Posted] = {}
        """Those from before an exec whose senders may come back."""
        self._size = 0

    def post(self, kind: str, content: Any) -> Posted | Refused:
        """Put a message in: a ``call``, a ``cast`` or a ``state``."""
        size = len(json.dumps(content))
        if size > LARGEST_MESSAGE:
            return Refused(f"the message has {size:,} bytes as JSON, at most {LARGEST_MESSAGE:,} are taken")
        if len(self._posted) >= MOST_MESSAGES or self._size + size > MOST_BYTES:
            return Refused(f"its mailbox is full: {len(self._posted)} messages wait to be served")
        ask, self._next = self._next, self._next + 1
        posted = self._await(ask, size)
        self._put({"kind": kind, "ask": ask, "content": content})
        return posted

    def _await(self, ask: int, size: int) -> Posted:
        posted = self._posted[ask] = Posted(ask=ask, answer=self._loop.create_future(), size=size)
        self._size += size
        return posted

    def claim(self, ask: int) -> Posted | Refused:
        """Return a message from before an exec to the one who sent it."""
        return self._inherited.pop(ask, None) or Refused("its answer came too early or too late, and is lost")

    def hand_over(self) -> HandedMailbox:
        """Return it as it stands, for who takes it over after an exec."""
        return HandedMailbox(next=self._next, posted=tuple((ask, each.size) for ask, each in self._posted.items()))

    def take_over(self, handed: HandedMailbox) -> None:
        """Go on with what was under way before an exec."""
        self._next = handed.next
        self._inherited = {ask: self._await(ask, size) for ask, size in handed.posted}
        if self._inherited:
            self._loop.call_later(CLAIMED_WITHIN, self._inherited.clear)

    def answered(self, ask: int, reply: Reply) -> None:
        """Take an answer; who asked may have given up waiting."""
        posted = self._posted.pop(ask, None)
        if posted is not None:
            self._size -= posted.size
            if not posted.answer.done():
                posted.answer.set_result(reply)

    def close(self) -> None:
        """Tell whoever still waits that the process has ended."""
        for ask in list(self._posted):
            self.answered(ask, Reply(error="it ended before it answered"))
