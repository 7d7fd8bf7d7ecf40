"""Orders to jobs: start, stop, restart, scale, pause and resume."""

import asyncio
from collections.abc import Callable
from typing import Any

from supervisor import clock
from supervisor.answers.outcomes import outcome
from supervisor.answers.shell import Shell, line, meant, named
from supervisor.core.events import (
    Event,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)
from supervisor.core.slot import Slot
from supervisor.core.states import Wanted
from supervisor.core.waits import CameUp, Verdict, Wait, WentDown, running_id
from supervisor.errors import ControlError

_ASKED = Verdict(ok=True, message="asked")


class Orders:
    """Each method gets the request's parameters, and returns ``jobs``: what came of it, slot by slot."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def start(self, params: dict[str, Any]) -> dict[str, Any]:
        """Start what is named, and wait until it has come up."""
        return await self._order(StartRequested(), params, lambda slot: CameUp(slot.tally.restarts))

    async def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """Stop and hold what is named, and wait until it has ended."""
        return await self._order(StopRequested(), params, lambda _: WentDown())

    async def restart(self, params: dict[str, Any]) -> dict[str, Any]:
        """Stop what is named, start it again, and wait until it has come up."""
        return await self._order(RestartRequested(), params, lambda slot: CameUp(slot.tally.restarts, running_id(slot)))

    async def _order(self, event: Event, params: dict[str, Any], wait: Callable[[Slot], Wait]) -> dict[str, Any]:
        """Give an order to jobs and groups."""
        shell, board = self._shell, self._shell.board
        slots = named(board, params)
        groups = [name for name in params["names"] if name in board.tree.branches]
        grouped = {job for name in groups for job in board.tree.shape.jobs_below(name)}
        alone = [slot.id for slot in slots if slot.id.job not in grouped]
        waits = [(slot, wait(slot)) for slot in meant(board, slots, params["names"], lambda slot: slot.job.enabled)]
        shell.perform(board.tell(alone, event, clock.now(), groups))
        return {"jobs": await self._outcomes(params, waits)}

    async def _outcomes(self, params: dict[str, Any], waits: list[tuple[Slot, Wait]]) -> list[dict[str, Any]]:
        if not params.get("wait", True):
            return [line(slot.label, _ASKED) for slot, _ in waits]
        return await asyncio.gather(*(outcome(self._shell, slot, wait) for slot, wait in waits))

    async def scale(self, params: dict[str, Any]) -> dict[str, Any]:
        """Run another number of instances of jobs, and wait for what begins and ends."""
        shell, board = self._shell, self._shell.board
        numbers = self._numbers(params)
        before = {slot.id: slot for name in numbers for slot in board.slots_of(name)}
        for name, instances in numbers.items():
            shell.perform(board.scale(name, instances, clock.now()))
        after = [slot for name in numbers for slot in board.slots_of(name)]
        begun = [slot for slot in after if slot.id not in before and slot.wanted is Wanted.UP]
        ended = [slot for slot in before.values() if slot.id.instance > numbers[slot.id.job]]
        waits: list[tuple[Slot, Wait]] = [(slot, CameUp(slot.tally.restarts)) for slot in begun]
        waits += [(slot, WentDown()) for slot in ended]
        outcomes = await self._outcomes(params, waits)
        if not params.get("wait", True):
            return {"jobs": outcomes}
        changed = {slot.id.job for slot in (*begun, *ended)}
        same = {name: number for name, number in numbers.items() if name not in changed}
        already = [line(name, Verdict(ok=True, message=f"has {number} already")) for name, number in same.items()]
        return {"jobs": already + outcomes}

    def _numbers(self, params: dict[str, Any]) -> dict[str, int]:
        board, numbers = self._shell.board, params.get("instances")
        if not isinstance(numbers, dict) or not all(map(_is_number, numbers.values())):
            raise ControlError(2, '"instances" must be a table of numbers, 1 to 1000')
        wanted = {slot.id.job for slot in board.slots.values() if slot.wanted is not Wanted.REMOVED}
        unknown = next((name for name in numbers if name not in wanted), None)
        if unknown is not None:
            named(board, {"names": [unknown]})  # says which name may have been meant
            raise ControlError(2, f'"{unknown}": name one job, without an instance or a pattern')
        return numbers

    async def pause(self, params: dict[str, Any]) -> dict[str, Any]:
        """Have no new scheduled runs of what is named."""
        return self._tell_scheduled(params, PauseRequested(), "paused")

    async def resume(self, params: dict[str, Any]) -> dict[str, Any]:
        """Have scheduled runs again."""
        return self._tell_scheduled(params, ResumeRequested(), "resumed")

    def _tell_scheduled(self, params: dict[str, Any], event: Event, done: str) -> dict[str, Any]:
        shell = self._shell
        slots = meant(shell.board, named(shell.board, params), params["names"], _is_scheduled)
        shell.perform(shell.board.tell([slot.id for slot in slots if _is_scheduled(slot)], event, clock.now()))
        return {"jobs": [_paused_line(slot, done) for slot in slots]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000


def _is_scheduled(slot: Slot) -> bool:
    return slot.job.schedule is not None


def _paused_line(slot: Slot, done: str) -> dict[str, Any]:
    if not _is_scheduled(slot):
        name = slot.label
        return line(name, Verdict(ok=False, message=f"has no schedule; use `jobvisor stop {name}`"))
    return line(slot.label, Verdict(ok=True, message=done))
