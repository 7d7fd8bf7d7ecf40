"""``jobvisor errors``."""

import json
from pathlib import Path

import click

from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.instants import past
from supervisor.cli.place import Place
from supervisor.cli.records import recorded
from supervisor.cli.table import fitted, terminal_width
from supervisor.history import query, table


@jobvisor(name="errors")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--since", metavar="TIME", help='ISO 8601, or a duration ago such as "1d".')
@as_json
def command(place: Place, names: tuple[str, ...], since: str | None, as_json: bool) -> int:
    """Show failures grouped by exception and place, with counts, first and last time."""
    after = None if since is None else past(since)
    path = Path(place.folders()["history"])
    errors = query.errors(path, jobs=recorded(place, path, names), since=after)
    if as_json:
        print(json.dumps(errors, indent=2))
    elif errors:
        cells = table.error_cells(errors)
        print("\n".join(fitted(table.ERRORS, cells, width=terminal_width(), dispensable=table.NARROW_ERRORS)))
    else:
        print("no failures")
    return 0
