"""How the jobs are: ping, status, watch and show."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from supervisor import __version__, clock
from supervisor.answers.shell import Shell, named
from supervisor.core.names import several
from supervisor.core.show import coming, settings
from supervisor.core.slot import Slot
from supervisor.core.states import Disabled
from supervisor.core.status import health, iso, report
from supervisor.core.tree.reasons import why
from supervisor.core.tree.report import report_groups
from supervisor.errors import ControlError
from supervisor.waiters import again

AT_ONCE = 4
"""Looks at processes, each a thread beside the loop; further ones wait."""


class Questions:
    """Each method gets the request's parameters."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def ping(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return who this is, and where it keeps what."""
        settings = self._shell.manifest.settings
        return {
            "pid": os.getpid(),
            "version": __version__,
            "manifest": str(self._shell.manifest.path),
            "state_dir": str(settings.state_dir),
            "log_dir": str(settings.log_dir),
            "history": f"{settings.state_dir}/history.db",
        }

    async def status(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the health of every job, or of those that are named; if ``described``, with their descriptions."""
        return await self._shell.lookers.look(lambda: self._status(params))

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        now, board = clock.now(), self._shell.board
        slots = named(board, params, everything=True)
        good = all(health(slot, now)[0].is_good for slot in slots if not isinstance(slot.state, Disabled))
        described = {slot.job.name: slot.job.description for slot in slots if slot.job.description}
        return {
            "supervisor": {
                "pid": os.getpid(),
                "version": __version__,
                "started_at": self._shell.started_at,
                "manifest": str(self._shell.manifest.path),
                "healthy": good,
            },
            "jobs": self._report(slots),
            "groups": report_groups(board.tree, now, dict.fromkeys(slot.id.job for slot in slots)),
            "warnings": self._shell.warnings() if board.ending is None else ["stopping"],
            **({"descriptions": described} if params.get("described") else {}),
        }

    async def watch(self, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Return the stream of ``status``: now, and again when something has changed."""
        named(self._shell.board, params, everything=True)  # an unknown name is told at once
        return self._watched(params)

    async def _watched(self, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """What changes together is told together."""
        with self._shell.lookers.looking() as changed:
            while not self._shell.lookers.is_over:
                yield await self.status(params)
                await again(changed)

    async def show(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return everything about one job."""
        slots = named(self._shell.board, {"names": [params.get("name")]})
        job = slots[0].job
        if any(slot.job.name != job.name for slot in slots):
            raise ControlError(2, several(list(dict.fromkeys(slot.job.name for slot in slots))))
        rows = self._report(slots)
        async with self._turn:
            for slot, row in zip(slots, rows, strict=True):
                row["processes"] = await self._shell.processes(slot)
                row["cgroup"] = await self._shell.account(slot)
        return {
            "name": job.name,
            "where": job.where,
            "settings": settings(job, slots[0].kind),
            "instances": rows,
            "next": [iso(at) for at in coming(slots[0])],
        }

    def _report(self, slots: list[Slot]) -> list[dict[str, Any]]:
        shell, tree = self._shell, self._shell.board.tree
        return report(slots, shell.vitals(), clock.now(), lambda slot: why(tree, slot), shell.progress())
