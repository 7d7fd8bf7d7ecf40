"""What the supervisor answers of talking to a running job: call, cast, state, signal and stack."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from supervisor.core.exits import signal_name
from supervisor.core.job import Command
from supervisor.core.kind import Kind
from supervisor.core.names import several
from supervisor.core.runs import RunId, SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Starting, process_of
from supervisor.core.status import state_word
from supervisor.core.waits import TargetKnown
from supervisor.engine.mailbox import Posted, Refused
from supervisor.engine.stack import NONE
from supervisor.errors import ControlError
from supervisor.waiters import Waiters

ANSWER_WITHIN = 5.0
"""Seconds for an answer where the client says nothing else."""
LONGEST = 3600.0


class Engine(Protocol):
    """What the dialogue needs of the engine."""

    def post(self, run_id: RunId, kind: str, content: Any) -> Posted | Refused:
        """Put a message into a Worker's mailbox."""

    def claim(self, run_id: RunId, ask: int) -> Posted | Refused:
        """Return a message that was put in before an upgrade."""

    def signal(self, run_id: RunId, number: int) -> int | None:
        """Send a signal to the first process of a run, and return its pid."""

    async def stack(self, run_id: RunId) -> str:
        """Return the stacks of a run's threads."""


class Dialogue:
    """Each method gets the slots that the request names, and its parameters."""

    def __init__(
        self,
        engine: Engine,
        waiters: Waiters,
        look: Callable[[SlotId], Slot | None],
        beside: Callable[[SlotId], Sequence[Slot]],
    ) -> None:
        """``beside`` returns the runs beside a slot's own (overlap = "allow")."""
        self._engine = engine
        self._waiters = waiters
        self._look = look
        self._beside = beside
        self.methods: Mapping[str, Callable[[Sequence[Slot], dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "call": self._call,
            "cast": self._cast,
            "state": self._state,
            "signal": self._signal,
            "stack": self._stack,
        }

    async def _call(self, slots: Sequence[Slot], params: dict[str, Any]) -> dict[str, Any]:
        return await self._ask(_one(slots), "call", params)

    async def _state(self, slots: Sequence[Slot], params: dict[str, Any]) -> dict[str, Any]:
        return await self._ask(_one(slots), "state", params)

    async def _cast(self, slots: Sequence[Slot], params: dict[str, Any]) -> dict[str, Any]:
        slot = await self._worker(_one(slots), ANSWER_WITHIN)
        self._post(slot, "cast", params)
        return {"name": slot.label}

    async def _ask(self, slot: Slot, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Put a message into the mailbox, unless that was done before an upgrade, and return what is answered.

        Raises:
            ControlError: there is no Worker that could, it has an error to tell, or it takes too long.
        """
        within = _seconds(params.get("timeout", ANSWER_WITHIN))
        if "posted" not in params:
            slot = await self._worker(slot, within)
            posted = self._post(slot, kind, params)
            until = asyncio.get_running_loop().time() + within
            params["posted"] = {"run_id": _run_id(slot), "ask": posted.ask, "until": until}
        else:
            posted, until = self._claimed(slot, params["posted"])
        try:
            async with asyncio.timeout_at(until):
                reply = await posted.answer
        except TimeoutError:
            busy = _busy(self._look(slot.id) or slot)
            raise ControlError(1, f"{slot.label}: no answer within {within:g} s{busy}") from None
        if reply.error is not None:
            raise ControlError(1, f"{slot.label}: {reply.error}")
        return {"name": slot.label, "reply": reply.value}

    def _post(self, slot: Slot, kind: str, params: dict[str, Any]) -> Posted:
        return _taken(slot, self._engine.post(_run_id(slot), kind, params.get("content")))

    def _claimed(self, slot: Slot, noted: Any) -> tuple[Posted, float]:
        """Return a message that a request has put in before an upgrade, and until when its answer is waited for."""
        match noted:
            case {"run_id": int(run_id), "ask": int(ask), "until": float(until)}:
                return _taken(slot, self._engine.claim(run_id, ask)), until
        raise ControlError(2, '"posted" must be what an upgrade has told')

    async def _worker(self, slot: Slot, within: float) -> Slot:
        """Return a slot once an import has told that its target is a Worker.

        Raises:
            ControlError: it is none, or the import takes too long.
        """
        try:
            async with asyncio.timeout(within):
                await self._waiters.ask(slot, TargetKnown())
        except TimeoutError:
            raise ControlError(1, f"{slot.label}: its target is still being imported") from None
        known = self._look(slot.id) or slot
        if known.kind is not Kind.WORKER:
            why = known.problem or f"it runs a {known.kind.value if known.kind else 'target that is not known'}"
            raise ControlError(1, f"{slot.label} is no Worker, and only Workers are spoken to: {why}")
        return known

    async def _signal(self, slots: Sequence[Slot], params: dict[str, Any]) -> dict[str, Any]:
        number = params.get("signal")
        if not isinstance(number, int) or isinstance(number, bool) or number not in signal.valid_signals():
            raise ControlError(2, '"signal" must be the number of a signal')
        return {"jobs": [self._signalled(each, number) for slot in slots for each in self._at_work(slot) or (slot,)]}

    def _at_work(self, slot: Slot) -> list[Slot]:
        """Return the slot and the runs beside it, those that have a process."""
        return [each for each in (slot, *self._beside(slot.id)) if process_of(each.state) is not None]

    def _signalled(self, slot: Slot, number: int) -> dict[str, Any]:
        process = process_of(slot.state)
        pid = self._engine.signal(process.run.run_id, number) if process is not None else None
        if pid is None:
            return {
                "name": slot.label,
                "ok": False,
                "message": f"is {state_word(slot)}, it has no process",
                "pid": None,
            }
        message = f"{signal_name(number)} sent to pid {pid}"
        return {"name": slot.label, "ok": True, "message": message, "pid": pid}

    async def _stack(self, slots: Sequence[Slot], _: dict[str, Any]) -> dict[str, Any]:
        slot = _one(slots)
        if isinstance(slot.job.target, Command):
            raise ControlError(
                1, f"{slot.label} runs a command: only a Python function or Worker (`run`) can show its stack"
            )
        runs = self._at_work(slot) or [slot]
        texts = [await self._engine.stack(_run_id(each)) for each in runs]
        if set(texts) == {NONE}:
            raise ControlError(1, f"{slot.label}: {NONE}")
        first, *others = (process for each in runs if (process := process_of(each.state)) is not None)
        if others:
            heads = (f"run {process.run.run_id}, pid {process.pid}:" for process in (first, *others))
            texts = [f"{head}\n{text}" for head, text in zip(heads, texts, strict=True)]
        return {"name": slot.label, "pid": first.pid, "stack": "\n".join(texts)}


def _one(slots: Sequence[Slot]) -> Slot:
    """Return the only slot that was named.

    Raises:
        ControlError: it is not the only one.
    """
    if len(slots) == 1:
        return slots[0]
    raise ControlError(2, several([slot.label for slot in slots]))


def _taken(slot: Slot, posted: Posted | Refused) -> Posted:
    if isinstance(posted, Refused):
        raise ControlError(1, f"{slot.label}: {posted.why}")
    return posted


def _run_id(slot: Slot) -> RunId:
    """Return the run of a slot's process.

    Raises:
        ControlError: it has none.
    """
    process = process_of(slot.state)
    if process is None:
        raise ControlError(1, f"{slot.label} is {state_word(slot)}: it has no process")
    return process.run.run_id


def _busy(slot: Slot) -> str:
    """Return what a Worker is doing instead of answering, where that is known."""
    match slot.state:
        case Starting():
            return ": it is still in start()"
    return f": it is busy; `jobvisor stack {slot.label}` shows with what"


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise ControlError(2, f'"timeout" must be a number of seconds, up to {LONGEST:g}')
    return float(value)
