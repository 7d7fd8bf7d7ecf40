"""How a fork server is started, and what it is told before any order: exec'd first, briefed when the manifest is known.

It imports next to nothing, so that a start of the supervisor can exec the fork server before anything else.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from supervisor import helpers
from supervisor.engine.agreed import PLACEHOLDER
from supervisor.engine.cgroups import Delegation
from supervisor.wire import Wire

NOT_THE_JOBS = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "JOURNAL_STREAM")
"""Variables of the supervisor that mean nothing to a job, or harm; by their beginnings."""
IDENTITY = frozenset(
    f"JOBVISOR_{name}" for name in ("JOB", "INSTANCE", "FD", "RUN_ID", "PROCESS", "ATTEMPT", "TRIGGER", "DUE")
)
"""What tells a job which it is: a supervisor that is itself a job does not hand on its own."""
KEPT_BACK = "PYTHONUNBUFFERED"
"""Jobs have it in their environment; the fork server itself shall have buffers, which its children flush by line."""


class Settings(NamedTuple):
    """What a fork server is started with."""

    environ: Mapping[str, str]
    path: Sequence[str]
    preload: Sequence[str]
    nofile: int
    """The soft limit of open files that the jobs get back."""
    vacancy: int | None = None
    """A descriptor that the fork server holds open until the last job has ended."""
    cgroup: Delegation | None = None
    """Where each run gets a cgroup of its own."""


def base_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that every job starts from."""
    base = {
        name: value for name, value in environ.items() if not name.startswith(NOT_THE_JOBS) and name not in IDENTITY
    }
    base.setdefault("PYTHONUNBUFFERED", "1")
    base["PATH"] = _with_own_python(base.get("PATH", os.defpath))
    return base


def _with_own_python(path: str) -> str:
    """Return PATH with the folder of this interpreter first: ``python`` in a command is the application's own."""
    own = os.path.dirname(sys.executable)
    return path if path.split(os.pathsep, maxsplit=1)[0] == own else f"{own}{os.pathsep}{path}"


def start(environ: Mapping[str, str]) -> helpers.Helper:
    """Exec a fork server in the environment of the jobs; it waits to be briefed.

    Raises:
        OSError: it cannot be started.
    """
    own = {name: value for name, value in environ.items() if name != KEPT_BACK}
    return helpers.start("supervisor.engine.forkserver", {**own, "JOBVISOR_RUN_ID": PLACEHOLDER}, stdout=None)


def brief(helper: helpers.Helper, settings: Settings) -> None:
    """Have a fork server import what is to be preloaded; it takes orders after that.

    One that is gone already is found out by who listens to it.
    """
    wire = Wire(helper.sock)
    wire.put(
        {
            "path": list(settings.path),
            "preload": list(settings.preload),
            "environ": {name: value for name, value in settings.environ.items() if name == KEPT_BACK},
            "nofile": settings.nofile,
            "cgroup": settings.cgroup,
        },
        [] if settings.vacancy is None else [settings.vacancy],
    )
    with suppress(ConnectionError):
        wire.flush()


def begin(settings: Settings) -> helpers.Helper:
    """Start a fork server, and brief it at once.

    Raises:
        OSError: it cannot be started.
    """
    helper = start(settings.environ)
    brief(helper, settings)
    return helper
