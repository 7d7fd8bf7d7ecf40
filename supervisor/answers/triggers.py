"""One run now, beside the schedule."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from supervisor import clock
from supervisor.answers.shell import Shell, named
from supervisor.core.actions import Keep
from supervisor.core.effects import Effects
from supervisor.core.exits import signal_name
from supervisor.core.names import several
from supervisor.core.runs import Closed, NotRun, Opened, SlotId
from supervisor.core.states import Disabled, last_due
from supervisor.core.waits import RunBegan, RunEnded, Verdict
from supervisor.errors import ControlError


class Triggers:
    """The method gets the request's parameters."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def trigger(self, params: dict[str, Any]) -> dict[str, Any] | AsyncGenerator[dict[str, Any], None]:
        """Return what is known of the run at once, or the stream of its begin and its end."""
        slots = named(self._shell.board, {"names": [params.get("name")]})
        if len(slots) != 1:
            raise ControlError(2, several([slot.label for slot in slots]))
        [slot] = slots
        if slot.job.schedule is None:
            raise ControlError(1, f"{slot.label} has no schedule; use `jobvisor start {slot.label}`")
        if isinstance(slot.state, Disabled):
            raise ControlError(1, f"{slot.label} is disabled in the manifest")
        if params.get("wait") and "due_at" in params:
            return self._followed(slot.id, _instant(params["due_at"]), params)
        now = clock.now()
        effects = self._shell.board.trigger(slot.id, now)
        self._shell.perform(effects)
        if not params.get("wait", False):
            return _asked(effects, now.wall)
        params["due_at"] = now.wall.isoformat()
        return self._followed(slot.id, now.wall, params)

    async def _followed(
        self, slot_id: SlotId, due_at: datetime, params: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield when the run of a due time begins, unless that was told before an upgrade, then how it ended."""
        shell = self._shell
        slot = shell.board.slots[slot_id]
        lanes = (shell.board.slots[at] for at in shell.board.lanes(slot_id))
        own = next((lane for lane in lanes if last_due(lane.state) == due_at), slot)
        ending = asyncio.create_task(shell.waiters.ask(slot, RunEnded(due_at)))
        try:
            began = await shell.waiters.ask(own, RunBegan(due_at))
            if began.ok and not params.get("began"):
                params["began"] = True
                yield {"label": slot.label, "started_at": began.message}
            yield await self._ended(await ending)
        finally:
            ending.cancel()

    async def _ended(self, verdict: Verdict) -> dict[str, Any]:
        closed = verdict.row if isinstance(verdict.row, Closed) else None
        return {
            "run_id": verdict.row.run.run_id if verdict.row else None,
            "ok": verdict.ok,
            "message": verdict.message,
            "code": _exit_code(closed, verdict),
            "outcome": verdict.row.outcome.value if verdict.row else None,
            "exit_code": closed.exit_code if closed else None,
            "signal": signal_name(closed.signal) if closed and closed.signal is not None else None,
            "output": await self._shell.tail(closed.run.run_id) if closed else [],
        }


def _instant(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ControlError(2, '"due_at" must be an instant in ISO 8601') from error


def _asked(effects: Effects, due_at: datetime) -> dict[str, Any]:
    """Return what is known of a run by hand as soon as it is asked for."""
    for action in effects.actions:
        match action:
            case Keep(record=Opened(run=run)) if run.due_at == due_at:
                return {"run_id": run.run_id, "ok": True, "message": f"run {run.run_id}", "code": 0}
            case Keep(record=NotRun(run=run, outcome=outcome, reason=reason)) if run.due_at == due_at:
                return {"run_id": run.run_id, "ok": False, "message": f"{outcome.value}: {reason}", "code": 1}
    return {"run_id": None, "ok": True, "message": "waits for its turn", "code": 0}


def _exit_code(closed: Closed | None, verdict: Verdict) -> int:
    """Return what ``trigger --wait`` exits with: the run's code, 128 + n for a signal, 1 where nothing else fits."""
    if closed is not None and closed.exit_code:
        return closed.exit_code
    if closed is not None and closed.exit_code is None and closed.signal is not None:
        return 128 + closed.signal
    return 0 if verdict.ok else 1
