"""``jobvisor status``."""

import click

from supervisor.cli import status_view
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="status")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--watch", is_flag=True, help="Keep the table up to date, until Ctrl-C; with --json a line a change.")
@as_json
def command(place: Place, names: tuple[str, ...], watch: bool, as_json: bool) -> int:
    """Show the health of every job, or of those named.

    Exits 0 when all are well (a job that waits after a good run is), 3 when one is failing, late or gave up, 4 when no
    supervisor is running or a name means no job.
    """
    if watch:
        from supervisor.cli import watch_view  # noqa: PLC0415  # rich, for this alone

        if as_json:
            return watch_view.watch_json(place, list(names))
        if not watch_view.is_terminal():
            raise click.UsageError("--watch draws on a terminal, and stdout is none; there is --watch --json")
        return watch_view.watch(place, list(names))
    return status_view.show(place, list(names), as_json=as_json)
