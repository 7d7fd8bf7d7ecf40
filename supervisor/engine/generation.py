"""One fork server as the supervisor sees it, from its exec to its death. The engine has one after the other."""

import asyncio
import os
from collections.abc import Callable, Sequence

from supervisor.engine.line import Line
from supervisor.engine.marker import marked
from supervisor.engine.pidfd import ended
from supervisor.handed import HandedHelper
from supervisor.helpers import Helper
from supervisor.plain import Fd
from supervisor.values import dataclass
from supervisor.wire import Message

ASK_AFTER = 0.1
"""Seconds from the moment in which a fork server is expected to answer until it is asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """After how many seconds the engine takes something for hung."""

    preload: float = 60.0
    """One module of ``preload``."""
    probe: float = 60.0
    """One target in a probe."""
    answer: float = 10.0
    """The fork server's answer to anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedServer:
    """What of a fork server crosses an exec."""

    helper: HandedHelper
    started_at: float
    """On the loop's clock, CLOCK_MONOTONIC."""
    awaits_pong: bool
    ordered: int = 0
    marker: Fd | None = None


class Generation:
    """A fork server. It is told orders; ``hear`` gets the facts about runs, ``died`` is called once."""

    def __init__(
        self,
        helper: Helper,
        patience: Patience,
        *,
        loop: asyncio.AbstractEventLoop,
        hear: Callable[[Message, list[int]], None],
        died: Callable[["Generation"], None],
        say: Callable[[str, str], None],
        befell: Callable[[str], None],
        serves: Callable[["Generation"], None] = lambda _: None,
    ) -> None:
        """Take over one that has been briefed.

        ``say`` gets what is wrong with a module, ``befell`` an accident; ``serves`` is called when all is imported.
        """
        self._patience = patience
        self._loop = loop
        self._hear_of_run = hear
        self._died = died
        self._say = say
        self._befell = befell
        self._has_begun = serves
        self.refused: str | None = None
        """The module of ``preload`` for which it had to end."""
        self.started_at = loop.time()
        self._importing: str | None = None
        self.is_serving = False
        """It has imported ``preload`` and takes orders; until then they would lie with it, not to be taken back."""
        self._settled = asyncio.Event()
        """It serves, or is gone."""
        self._ordered = 0
        """How many processes it was told to make."""
        self._marker: int | None = None
        """The descriptor of its marker, until it has ended."""
        self._begun: int | None = None
        """The number of the last process that it has begun to make, once it has ended; None where nobody knows."""
        self.gone = asyncio.Event()
        """It will say nothing any more."""
        self._overdue: asyncio.TimerHandle | None = None
        self._awaits_pong = False
        self._asking: asyncio.TimerHandle | None = None
        self._process = helper.process
        self._line = Line(loop, helper.sock, hear=self._hear, hung_up=self._end)
        self._wait(patience.preload)

    def hand_over(self) -> HandedServer:
        """Return one that serves as it stands."""
        if self._asking is not None:
            self._ask()
        helper = HandedHelper(pid=self.pid, wire=self._line.hand_over())
        return HandedServer(
            helper=helper,
            started_at=self.started_at,
            awaits_pong=self._awaits_pong,
            ordered=self._ordered,
            marker=None if self._marker is None else Fd(self._marker),
        )

    def take_over(self, handed: HandedServer) -> None:
        """Go on with one that served before an exec."""
        self._line.take_over(handed.helper.wire)
        self.started_at = handed.started_at
        self._awaits_pong = handed.awaits_pong
        self._ordered, self._marker = handed.ordered, handed.marker
        self.is_serving = True
        self._settled.set()
        self._wait(self._patience.answer if handed.awaits_pong else None)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def serves(self) -> bool:
        """Return when it has imported ``preload`` and serves; False where it has ended instead."""
        await self._settled.wait()
        return self.is_serving

    def make(self, message: Message, fds: Sequence[int]) -> None:
        """Have a process made; the descriptors are lent, and stay open until the answer."""
        self._ordered += 1
        message["number"] = self._ordered
        self._line.put(message, fds)

    def has_begun(self, message: Message) -> bool:
        """Tell of one that has ended whether it had begun to make a process, or may have where nobody knows."""
        return self._begun is None or message["number"] <= self._begun

    def tell(self, message: Message) -> None:
        """Give an order about a process."""
        self._line.put(message)

    def expect_answer(self) -> None:
        """Take the fork server for hung unless it says something soon; while it imports, another clock runs.

        It is asked a little later, for it has other things to do just now.
        """
        if self.is_serving and not self._awaits_pong and self._asking is None:
            self._asking = self._loop.call_later(ASK_AFTER, self._ask)

    def _ask(self) -> None:
        self._ask_no_more()
        self._awaits_pong = True
        self._line.put({"order": "ping"})
        self._wait(self._patience.answer)

    def _ask_no_more(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _hear(self, fact: Message, fds: list[int]) -> None:
        match fact:
            case {"fact": "preloading", "module": module}:
                self._importing = module
                self._wait(self._patience.preload)
            case {"fact": "preload_failed", "module": module, "reason": reason}:
                self._refuse(module, reason)
            case {"fact": "preload_warning", "module": module, "text": text}:
                self._say(module, f'preload: "{module}": {text}')
            case {"fact": "cgroup_failed", "text": text}:
                self._befell(f"a job runs without a cgroup of its own: {text}")
            case {"fact": "misunderstood", "text": text}:
                self._befell(f"the fork server did not understand an order: {text}")
            case {"fact": "serving"}:
                self._importing = None
                self._marker = fds.pop() if fds else None
                self.is_serving = True
                self._settled.set()
                self._wait(None)
                self._has_begun(self)
                self.expect_answer()
            case {"fact": "pong"}:
                self._awaits_pong = False
                self._wait(None)
            case _:
                if self._awaits_pong:
                    self._wait(self._patience.answer)
                self._hear_of_run(fact, fds)

    def _wait(self, seconds: float | None) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        self._overdue = None if seconds is None else self._loop.call_later(seconds, self._hung)

    def _hung(self) -> None:
        if self._importing is not None:
            self._refuse(self._importing, f"it takes more than {self._patience.preload:g} s to import")
        else:
            self._befell("the fork server did not answer, and was killed")
        self._overdue = None
        self.kill()

    def _refuse(self, module: str, reason: str) -> None:
        self.refused, self._importing = module, None
        self._say(module, f'preload: "{module}" is not preloaded: {reason}; each job imports it itself')

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def _end(self, problem: str) -> None:
        if problem:
            self._befell(f"the fork server was killed: {problem}")
        if self._importing is not None:
            self._refuse(self._importing, "importing it ended the process")
        self._wait(None)
        self._ask_no_more()
        self._line.close()
        self.is_serving = False
        self._settled.set()
        self.gone.set()
        self._died(self)

    def hang_up(self) -> None:
        """Let it end: it stops every job that it has, by the job's stop rule, and exits."""
        self._wait(None)
        self._ask_no_more()
        self._line.close()

    async def ended(self, within: float | None = None) -> None:
        """Return when it is gone and reaped; kill it where that takes longer than ``within`` seconds."""
        if self._process.poll() is None:
            gone = asyncio.ensure_future(ended(self._loop, os.pidfd_open(self._process.pid)))
            done, _ = await asyncio.wait([gone], timeout=within)
            if not done:
                self.kill()
            await gone
            self._process.wait()
        if self._marker is not None:
            self._begun = marked(self._marker)
            os.close(self._marker)
            self._marker = None
