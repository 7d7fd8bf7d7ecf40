"""``jobvisor state``."""

import click

from supervisor.cli import message
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="state")
@click.argument("name")
@message.within
@as_json
def command(place: Place, name: str, within: float, as_json: bool) -> int:
    """Show what a Worker's `state()` returns; without one of its own, its attributes but those that begin with "_".

    It is asked between ticks, as a call is. Exits 1 where there is no answer in time, and says why.
    """
    reply = message.ask(place, "state", name, None, within)
    return message.say(reply, as_json=as_json)
