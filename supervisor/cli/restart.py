"""``jobvisor restart``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="restart")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--no-wait", is_flag=True, help="Do not wait for the outcome.")
def command(place: Place, names: tuple[str, ...], no_wait: bool) -> int:
    """Stop jobs, then start them. A scheduled job ends its run and goes back to waiting."""
    return orders.give(place, "restart", names, wait=not no_wait)
