"""Which manifest a command is about, and the supervisor that serves it."""

import os
from typing import Any

from supervisor import discovery
from supervisor.control.client import Client, connect
from supervisor.errors import NoSupervisorError


class Place:
    """A manifest, named or found, and its supervisor's socket."""

    def __init__(self, manifest: str | None, socket: str | None) -> None:
        self._named = manifest
        self._socket = socket

    @property
    def manifest(self) -> str:
        """The manifest's absolute path.

        Raises:
            JobvisorError: none is named and none is found.
        """
        return discovery.locate(self._named, os.environ, os.getcwd())

    def connect(self) -> Client:
        """Return a connection to the supervisor.

        Raises:
            NoSupervisorError: none answers.
        """
        if self._socket is not None or os.environ.get("JOBVISOR_SOCKET"):
            return connect(discovery.sockets(self._socket, "", os.environ))
        return connect(discovery.sockets(None, self.manifest, os.environ))

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Return the supervisor's answer to one request."""
        with self.connect() as client:
            return client.ask(method, params)

    def folders(self) -> dict[str, str]:
        """Return where logs and history lie: the running supervisor knows best, else the manifest says.

        Raises:
            JobvisorError: there is neither.
        """
        try:
            answer: dict[str, str] = self.ask("ping")
        except NoSupervisorError:
            from supervisor.load import load  # noqa: PLC0415  # only without a supervisor

            settings = load(self.path(), os.environ).settings
            return {
                "state_dir": settings.state_dir,
                "log_dir": settings.log_dir,
                "history": f"{settings.state_dir}/history.db",
            }
        return answer

    def path(self) -> Any:
        """Return the manifest as a ``Path``; an import that quick commands do without."""
        from pathlib import Path  # noqa: PLC0415

        return Path(self.manifest)
