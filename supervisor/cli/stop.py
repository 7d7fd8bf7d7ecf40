"""``jobvisor stop``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="stop")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--no-wait", is_flag=True, help="Do not wait for the outcome.")
def command(place: Place, names: tuple[str, ...], no_wait: bool) -> int:
    """Stop jobs and hold them until `jobvisor start`, over a restart of the supervisor too."""
    return orders.give(place, "stop", names, wait=not no_wait)
