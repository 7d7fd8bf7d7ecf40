"""What ``jobvisor run`` does, with click or without."""

import sys

from supervisor.boot import run
from supervisor.cli.place import Place
from supervisor.errors import ManifestError
from supervisor.signals import early

EX_CONFIG = 78
"""The exit code for a bad manifest (sysexits(3))."""


def supervise(place: Place, *, output: bool) -> int:
    """Supervise in the foreground; return the exit code, after a word on what is wrong with the manifest."""
    early.stand()
    try:
        return run(place.manifest, output=output)
    except ManifestError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
