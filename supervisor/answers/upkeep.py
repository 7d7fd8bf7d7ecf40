"""Orders to the supervisor itself: plan, reload, upgrade and shutdown."""

import asyncio
import os
from typing import Any

from supervisor.answers.outcomes import outcome
from supervisor.answers.shell import Shell
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.waits import CameUp
from supervisor.errors import ControlError, JobvisorError, ManifestError

AT_ONCE = 2
"""Manifests that are read for a plan, each by a thread beside the loop; further ones wait."""


class Upkeep:
    """Each method gets the request's parameters."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def plan(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return what ``reload`` would do now."""
        try:
            async with self._turn:
                plan = await self._shell.reloads.plan()
        except ManifestError as error:
            return {"ok": False, "changes": [], "settings": [], "problems": list(error.problems)}
        return {"ok": True, "changes": plan.changes(), "settings": plan.settings_fields(), "problems": []}

    async def reload(self, params: dict[str, Any]) -> dict[str, Any]:
        """Apply the edited manifest, unless that was done before an upgrade, and wait for what it starts.

        It goes on where the client does not.
        """
        if "applied" not in params:
            try:
                plan = await asyncio.shield(
                    self._shell.reloads.reload(at_once=params.get("now", False), code=params.get("code", False))
                )
            except JobvisorError as error:
                problems = str(error).splitlines()
                return {"ok": False, "changes": [], "settings": [], "code": [], "problems": problems, "jobs": []}
            params["applied"] = {
                "changes": plan.changes(),
                "settings": plan.settings_fields(),
                "code": plan.code_changes(),
            }
            params["begun"] = [(slot.id.job, slot.id.instance, slot.tally.restarts) for slot in plan.begun]
        match params:
            case {"applied": dict(applied), "begun": list(begun)}:
                waits = [wait for each in begun if (wait := self._wait(each)) is not None]
            case _:
                raise ControlError(2, '"applied" and "begun" must be what an upgrade has told')
        jobs = await asyncio.gather(*(outcome(self._shell, slot, wait) for slot, wait in waits))
        return {"ok": all(job["ok"] for job in jobs), **applied, "problems": [], "jobs": jobs}

    def _wait(self, begun: Any) -> tuple[Slot, CameUp] | None:
        """Return a slot that a reload has begun, and what is waited for; None where it is there no more."""
        match begun:
            case [str(job), int(instance), int(restarts)]:
                slot = self._shell.board.slots.get(SlotId(job, instance))
                return None if slot is None else (slot, CameUp(restarts))
        return None

    async def upgrade(self, _: dict[str, Any]) -> None:
        """Refuse, or never answer: then the client finds the next version on the same socket."""
        try:
            await asyncio.shield(self._shell.upgrades.upgrade())
        except JobvisorError as error:
            raise ControlError(1, str(error)) from error

    async def shutdown(self, _: dict[str, Any]) -> dict[str, Any]:
        """Stop all jobs and end, and answer when nothing else is left."""
        self._shell.end(0)
        await self._shell.ended()
        return {"pid": os.getpid()}
