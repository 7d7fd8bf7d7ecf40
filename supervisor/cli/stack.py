"""``jobvisor stack``."""

import json

import click

from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="stack")
@click.argument("name")
@as_json
def command(place: Place, name: str, as_json: bool) -> int:
    """Print the Python stack of every thread of a job, the innermost call first. The job goes on meanwhile.

    Exits 1 where there is none: the job is a command, it has no process, or it blocks the signal that asks for it.
    """
    answer = place.ask("stack", {"names": [name]})
    print(json.dumps(answer, indent=2) if as_json else answer["stack"])
    return 0
