"""Applying an edited manifest, and with it the jobs' edited code, while the loop goes on."""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Protocol

from loguru import logger

from supervisor import clock
from supervisor.aside import aside
from supervisor.core.board import Board
from supervisor.core.differences import Effect, emptied, in_force, settings_differences
from supervisor.core.effects import Effects
from supervisor.core.events import Cause, RestartRequested, TargetMissing
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.plan import Plan, fresh_code, turned
from supervisor.engine.engine import Engine
from supervisor.engine.renewal import Renewal
from supervisor.errors import JobvisorError, ManifestError
from supervisor.load import load
from supervisor.systemd.service import Service
from supervisor.values import replace


class Loop(Protocol):
    """What a reload needs of the loop."""

    board: Board
    manifest: Manifest

    def perform(self, effects: Effects) -> None:
        """Perform what follows from a fact."""

    def follow(self, manifest: Manifest) -> None:
        """Go on by what a manifest says beside its jobs."""

    def probe(self, jobs: tuple[Job, ...]) -> None:
        """Try the targets of jobs."""


class Reloads:
    """One reload at a time."""

    def __init__(self, loop: Loop, engine: Engine, service: Service) -> None:
        self._loop = loop
        self._engine = engine
        self._service = service
        self.turn = asyncio.Lock()
        """Whoever holds it keeps reloads waiting."""

    async def plan(self) -> Plan:
        """Return what ``reload`` would do now, and do nothing.

        Raises:
            ManifestError: every problem of the edited manifest.
        """
        return self._planned(await self._loaded())

    async def reload(self, *, at_once: bool = False, code: bool = False) -> Plan:
        """Apply the edited manifest, with ``code`` also the jobs' edited code, and return what that did.

        A bad manifest, and code in which a target that was there is missing, change nothing. A scheduled run is ended
        only ``at_once``.

        Raises:
            ManifestError: every problem of the edited manifest.
            JobvisorError: the new code cannot be had.
        """
        async with self.turn:
            try:
                with self._service.reloading():
                    manifest = await self._loaded()
                    plan = self._planned(manifest)
                    if code:
                        await self._renew(manifest)
                    return self._apply(manifest, plan, at_once=at_once, code=code)
            finally:
                self._loop.perform(Effects())  # the service manager is told of a bad one too

    async def refresh(self) -> None:
        """Have new runs made by a fork server of this version; where there is none to be had, that is said."""
        async with self.turn:
            try:
                await self._renew(self._loop.manifest)
            except JobvisorError as error:
                logger.warning("new runs are still made by the fork server of the version before: {}", error)

    def _apply(self, manifest: Manifest, plan: Plan, *, at_once: bool, code: bool) -> Plan:
        for edit in plan.settings:
            if edit.effect is Effect.NEXT_START or (edit.effect is Effect.CODE and not code):
                logger.warning("[supervisor] {} was edited; it takes effect at: {}", edit.key, edit.effect.value)
            else:
                logger.info("reload: {} live", edit.key)
        loop, board = self._loop, self._loop.board
        known = {job.name: job.target for job in loop.manifest.jobs if job.enabled}
        settings = in_force(loop.manifest.settings, manifest.settings, code=code)
        loop.follow(replace(manifest, settings=settings))
        before = dict(board.slots)
        loop.perform(board.apply(manifest.jobs, clock.now(), manifest.groups, at_once=at_once))
        fresh = fresh_code(board.slots.values(), at_once=at_once) if code else ()
        restarted = [change.slot.id for change in fresh if change.is_restarted]
        loop.perform(board.tell(restarted, RestartRequested(Cause.RELOAD), clock.now()))
        loop.probe(tuple(job for job in manifest.jobs if code or known.get(job.name) != job.target))
        return replace(plan, begun=turned(before, board.slots), code=fresh)

    async def _renew(self, manifest: Manifest) -> None:
        """Adopt a fork server with fresh code in which every target is there that was there before.

        Raises:
            JobvisorError: there is none; all goes on as before.
        """
        renewal = await self._engine.renew(path=manifest.python_path, preload=manifest.settings.preload)
        try:
            await self._try_targets(renewal, manifest)
            self._engine.adopt(renewal)
        except (JobvisorError, asyncio.CancelledError):
            self._engine.discard(renewal)
            raise

    async def _try_targets(self, renewal: Renewal, manifest: Manifest) -> None:
        sound = {slot.job.name: slot.job.target for slot in self._loop.board.slots.values() if slot.problem is None}
        found = await renewal.tried([job for job in manifest.jobs if job.enabled and sound.get(job.name) == job.target])
        lost = [fact.problem for fact in found.values() if isinstance(fact, TargetMissing)]
        if lost:
            raise JobvisorError("\n".join(lost))

    async def _loaded(self) -> Manifest:
        """Return the edited manifest.

        Raises:
            ManifestError: every problem of it; or a file of it is empty, which removes no job.
        """
        path = self._loop.manifest.path
        try:
            manifest = await aside(partial(load, Path(path), os.environ))
        except OSError as error:
            raise ManifestError((f"cannot read {path}: {error.strerror or error}",)) from error
        lost = emptied(self._loop.manifest, manifest)
        if lost:
            raise ManifestError(lost)
        return manifest

    def _planned(self, manifest: Manifest) -> Plan:
        settings = settings_differences(self._loop.manifest, manifest)
        return Plan(jobs=self._loop.board.edits(manifest.jobs), settings=settings)
