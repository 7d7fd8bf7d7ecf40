"""``jobvisor history``."""

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


@jobvisor(name="history")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--failed", is_flag=True, help="Failures only.")
@click.option("-n", "count", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many.")
@click.option("--since", metavar="TIME", help='ISO 8601, or a duration ago such as "1d".')
@as_json
def command(place: Place, names: tuple[str, ...], failed: bool, count: int, since: str | None, as_json: bool) -> int:
    """Show runs, newest first: also those that were skipped or missed, and why. Needs no running supervisor."""
    after = None if since is None else past(since)
    path = Path(place.folders()["history"])
    runs = query.runs(path, jobs=recorded(place, path, names), failed=failed, limit=count, since=after)
    if as_json:
        print(json.dumps(runs, indent=2))
    else:
        cells = table.run_cells(runs)
        print("\n".join(fitted(table.RUNS, cells, width=terminal_width(), dispensable=table.NARROW_RUNS)))
    return 0
