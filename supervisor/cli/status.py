"""``jobvisor status``."""

import click

from supervisor.cli import status_view
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="status")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@as_json
def command(place: Place, names: tuple[str, ...], as_json: bool) -> int:
    """Show the health of every job, or of those named.

    Exits 0 when all are well (a job that waits after a good run is), 3 when one is failing, late or gave up, 4 when no
    supervisor is running or a name means no job.
    """
    return status_view.show(place, list(names), as_json=as_json)
