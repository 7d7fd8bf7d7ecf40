"""A program that is run once for a job, beside its run: a health or readiness check by command."""

from collections.abc import Callable

from supervisor.core.actions import Spawn
from supervisor.core.exits import Code, Exit, NotStarted, Usage, describe
from supervisor.core.instants import ZERO
from supervisor.core.job import Command, Job
from supervisor.core.runs import Attempt, RunId
from supervisor.values import replace
from supervisor.wire import Message

Done = Callable[[str | None], None]
"""Takes what is wrong with how the program ended; None is nothing."""


class Errand:
    """Hears of the program's process."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._not_started: NotStarted | None = None

    def spawned(self, pid: int) -> None:
        """Nobody asks for its pid."""

    def told(self, message: Message) -> None:
        """Keep what explains that it did not start."""
        match message:
            case {"kind": "start_failed", "step": str(step), "errno": int(number), "text": str(text)}:
                self._not_started = NotStarted(step, number, text)

    def failed(self, why: NotStarted) -> None:
        """Tell that there is no process."""
        self._done(describe(why))

    def ended(self, how: Exit, usage: Usage) -> None:  # noqa: ARG002  # nobody asks what it cost
        """Tell how it ended."""
        ended = self._not_started or how
        self._done(None if ended == Code(0) else describe(ended))


def errand_order(run_id: RunId, run: Attempt, job: Job, argv: tuple[str, ...]) -> Spawn:
    """Return the order for a program that runs as a job's own process does: its user, folder, limits and variables."""
    rules = replace(job.supervision, stop_signal=9, stop_timeout=ZERO)
    return Spawn(replace(run, run_id=run_id), replace(job, target=Command(argv=argv), supervision=rules))
