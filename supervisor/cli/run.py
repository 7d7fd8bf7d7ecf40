"""``jobvisor run``: the one command that is the supervisor; all others are its clients."""

import sys

import click

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.errors import ManifestError
from supervisor.supervise import run

EX_CONFIG = 78


@jobvisor(name="run")
@click.option("--output", is_flag=True, help="Show the jobs' lines here, also where this is no terminal.")
def command(place: Place, output: bool) -> int:
    """Supervise the jobs in the foreground: what systemd starts, and what Ctrl-C stops.

    Exits 0 after an asked stop, 1 when an essential job gave up or another `run` holds the state folder, 78 on a bad
    manifest.
    """
    try:
        return run(place.path(), output=output)
    except ManifestError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
