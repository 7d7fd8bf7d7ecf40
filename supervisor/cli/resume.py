"""``jobvisor resume``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="resume")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(place: Place, names: tuple[str, ...]) -> int:
    """Start scheduled runs again, from the next due time on."""
    return orders.give(place, "resume", names)
