"""``jobvisor run``: the one command that is the supervisor; all others are its clients."""

import click

from supervisor.cli import foreground
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="run")
@click.option("--output", is_flag=True, help="Show the jobs' lines here, also where this is no terminal.")
def command(place: Place, output: bool) -> int:
    """Supervise the jobs in the foreground: what systemd starts, and what Ctrl-C stops.

    Exits 0 after an asked stop, 1 when an essential job gave up or another `run` holds the state folder, 78 on a bad
    manifest.
    """
    return foreground.supervise(place, output=output)
