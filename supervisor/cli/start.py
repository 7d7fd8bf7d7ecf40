"""``jobvisor start``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="start")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--no-wait", is_flag=True, help="Do not wait for the outcome.")
def command(place: Place, names: tuple[str, ...], no_wait: bool) -> int:
    """Start jobs: at once, out of hold, give-up and back-off alike. A scheduled job is released; nothing runs yet."""
    return orders.give(place, "start", names, wait=not no_wait)
