"""Which manifest a command is about, and the supervisor that serves it."""

import os
import sys
from typing import Any

from supervisor import discovery
from supervisor.cli.progress import Waiting, is_seen
from supervisor.control.client import Client, connect
from supervisor.errors import ControlError, JobvisorError, ManifestError, NoSupervisorError

SHOWN_EVERY = 0.5
"""Seconds between two looks of a person at what is waited for."""
READ_WITHIN = 10.0
"""Seconds in which a supervisor answers a question; an order takes as long as the job does."""


class Place:
    """A manifest, named or found, and its supervisor's socket."""

    def __init__(self, named: str | None, socket: str | None, *, quiet: bool = False) -> None:
        self.named = named
        self.socket = socket
        self.quiet = quiet

    @property
    def manifest(self) -> str:
        """The manifest's absolute path.

        Raises:
            JobvisorError: none is named and none is found.
        """
        return discovery.locate(self.named, os.environ, discovery.folder_here(os.environ))

    def connect(self) -> Client:
        """Return a connection to the supervisor.

        Raises:
            NoSupervisorError: none answers.
        """
        if self.socket or os.environ.get("JOBVISOR_SOCKET"):
            return connect(discovery.sockets(self.socket, "", os.environ))
        manifest = self.manifest
        try:
            return connect(discovery.sockets(None, manifest, os.environ))
        except NoSupervisorError as error:
            if os.path.exists(manifest):
                raise
            raise NoSupervisorError(
                f"there is no {manifest}; name another manifest with -f, or write one with `jobvisor init`\n{error}"
            ) from None

    def order(self, method: str, params: dict[str, Any]) -> Any:
        """Return what came of an order, for which the supervisor may take its time; a terminal shows the wait."""
        with self.connect() as client:
            if not self.shows_progress:
                return client.ask(method, params)
            with Waiting(method) as waiting:
                for told in client.stream(method, {**params, "progress": True}, every=SHOWN_EVERY):
                    match told:
                        case {"done": result}:
                            return result
                        case None | {"waiting": _}:
                            waiting.tell(told)
                        case _:  # a supervisor that tells no progress
                            return told
        raise ControlError(1, "the supervisor ended its answer before it was complete")

    @property
    def shows_progress(self) -> bool:
        """True where somebody at a terminal wants to know what is waited for."""
        return not self.quiet and is_seen()

    def ask(self, method: str, params: dict[str, Any] | None = None, *, within: float = READ_WITHIN) -> Any:
        """Return the supervisor's answer to a question, within so many seconds."""
        with self.connect() as client:
            return client.ask(method, params, within)

    def folders(self) -> dict[str, str]:
        """Return where logs and history lie: a supervisor that answers knows best, else the manifest says.

        A broken manifest hides neither: it is looked through as for the socket, and what is wrong with it is said.

        Raises:
            JobvisorError: there is no manifest.
        """
        try:
            answer: dict[str, str] = self.ask("ping")
        except (NoSupervisorError, ControlError):
            from supervisor.load import load  # noqa: PLC0415  # only without a supervisor

            environ = discovery.as_in_the_unit(self.manifest, os.environ)
            try:
                settings = load(self.path(), environ).settings
                state_dir, log_dir = settings.state_dir, settings.log_dir
            except ManifestError as error:
                if not os.path.exists(self.manifest):
                    raise
                print(f"warning: {error.problems[0]}", file=sys.stderr)
                state_dir, _, log_dir = discovery.lenient_paths(self.manifest, environ)
            return {"state_dir": state_dir, "log_dir": log_dir, "history": f"{state_dir}/history.db"}
        return answer

    def labels(self) -> list[str]:
        """Return what the jobs are called (``web``, ``web:2``), in manifest order; none where nothing can tell."""
        try:
            slots = [(job["name"], job["instance"]) for job in self.ask("status")["jobs"]]
        except (NoSupervisorError, ControlError):
            from supervisor.load import load  # noqa: PLC0415  # only without a supervisor

            try:
                jobs = load(self.path(), os.environ).jobs
            except JobvisorError:
                return []
            slots = [(job.name, number) for job in jobs for number in range(1, job.instances + 1)]
        several = {name for name, instance in slots if instance > 1}
        return [f"{name}:{instance}" if name in several else name for name, instance in slots]

    def path(self) -> Any:
        """Return the manifest as a ``Path``; an import that quick commands do without."""
        from pathlib import Path  # noqa: PLC0415

        return Path(self.manifest)
