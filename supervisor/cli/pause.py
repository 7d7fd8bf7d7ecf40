"""``jobvisor pause``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="pause")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(place: Place, names: tuple[str, ...]) -> int:
    """Start no new scheduled runs; a running one goes on. What passes meanwhile is not made up."""
    return orders.give(place, "pause", names)
