"""``jobvisor scale``."""

import click

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.jobnames import Scaled
from supervisor.cli.place import Place

MOST = 1000


@jobvisor(name="scale")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=N...", type=Scaled())
@click.option("--no-wait", is_flag=True, help="Do not wait for the outcome.")
def command(place: Place, changes: tuple[str, ...], no_wait: bool) -> int:
    """Run N instances of a job: those that are too many stop, new ones start.

    It lasts, also over a restart of the supervisor, until the job's own `instances` is edited in the manifest.
    """
    numbers = {name: int(number) for name, number in map(_parted, changes)}
    return orders.say(place.order("scale", {"instances": numbers, "wait": not no_wait})["jobs"])


def _parted(change: str) -> tuple[str, str]:
    name, equals, number = change.partition("=")
    if not name or not equals or not number.isdecimal() or not 1 <= int(number) <= MOST:
        raise click.UsageError(
            f'"{change}": write NAME=N, such as web=4; N is 1 to {MOST} (to stop a job, `jobvisor stop`)'
        )
    return name, number
