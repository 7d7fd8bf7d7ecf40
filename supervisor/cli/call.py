"""``jobvisor call``."""

import click

from supervisor.cli import message
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="call")
@click.argument("name")
@click.argument("request", metavar="[JSON]", default="null")
@message.within
@as_json
def command(place: Place, name: str, request: str, within: float, as_json: bool) -> int:
    """Ask a Worker: its `call(request)` gets the JSON value, and what it returns is printed.

    Calls are served one at a time between ticks, in the order in which they came. Exits 1 where there is no answer in
    time, and says why; the Worker may yet serve the call later.
    """
    reply = message.ask(place, "call", name, message.parsed(request), within)
    return message.say(reply, as_json=as_json)
