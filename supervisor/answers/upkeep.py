"""Orders to the supervisor itself: plan, reload, upgrade and shutdown."""

import asyncio
import os
from typing import Any

from supervisor.answers.outcomes import outcome
from supervisor.answers.shell import Shell
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
        """Apply the edited manifest, and wait for what it starts. It goes on where the client does not."""
        reloads = self._shell.reloads
        try:
            plan = await asyncio.shield(
                reloads.reload(at_once=params.get("now", False), code=params.get("code", False))
            )
        except JobvisorError as error:
            problems = str(error).splitlines()
            return {"ok": False, "changes": [], "settings": [], "code": [], "problems": problems, "jobs": []}
        jobs = await asyncio.gather(*(outcome(self._shell, slot, CameUp(slot.tally.restarts)) for slot in plan.begun))
        return {
            "ok": all(job["ok"] for job in jobs),
            "changes": plan.changes(),
            "settings": plan.settings_fields(),
            "code": plan.code_changes(),
            "problems": [],
            "jobs": jobs,
        }

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
