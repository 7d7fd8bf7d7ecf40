"""How a log process is started. It imports next to nothing, so that a start of the supervisor can do it first."""

from collections.abc import Mapping
from subprocess import DEVNULL

from supervisor import helpers


def start(environ: Mapping[str, str], *, console: bool) -> helpers.Helper:
    """Exec a log process; with ``console`` it has the supervisor's own stdout.

    Raises:
        OSError: it cannot be started.
    """
    return helpers.start("supervisor.logs.process", environ, stdout=None if console else DEVNULL)
