"""A fork server with fresh code, from its first import to the moment at which it is adopted or discarded."""

import asyncio
from collections.abc import Sequence

from supervisor.core.events import TargetFound, TargetMissing
from supervisor.core.job import Job
from supervisor.engine.briefing import Settings
from supervisor.engine.generation import Generation
from supervisor.engine.probing import Probes
from supervisor.errors import JobvisorError
from supervisor.values import dataclass

DIED = "the new fork server died; see the supervisor's log"


@dataclass(frozen=True, slots=True)
class Renewal:
    """It makes no runs yet; its ``trial`` is where targets are tried."""

    server: Generation
    settings: Settings
    warnings: dict[str, str]
    """What status will say of its modules of ``preload``, by module."""
    trial: Probes

    async def tried(self, jobs: Sequence[Job]) -> dict[str, TargetFound | TargetMissing]:
        """Return what its code says of the targets of these jobs, by job.

        Raises:
            JobvisorError: it died meanwhile.
        """
        found: dict[str, TargetFound | TargetMissing] = {}
        done = asyncio.Event()

        def note(name: str, fact: TargetFound | TargetMissing) -> None:
            found[name] = fact
            if len(found) == len(jobs):
                done.set()

        if not jobs:
            return found
        self.trial.begin(jobs, note)
        waits = [asyncio.ensure_future(event.wait()) for event in (done, self.server.gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not done.is_set():
            self.trial.cancel()
            raise JobvisorError(DIED)
        return found
