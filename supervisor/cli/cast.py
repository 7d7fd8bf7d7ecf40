"""``jobvisor cast``."""

import json

import click

from supervisor.cli import message
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="cast")
@click.argument("name")
@click.argument("content", metavar="[JSON]", default="null")
@as_json
def command(place: Place, name: str, content: str, as_json: bool) -> int:
    """Tell a Worker something that wants no answer: its `cast(message)` gets the JSON value.

    Returns as soon as the message is in the Worker's mailbox, and exits 1 where it is full.
    """
    done = place.ask("cast", {"names": [name], "content": message.parsed(content)})
    if as_json:
        print(json.dumps(done))
    return 0
