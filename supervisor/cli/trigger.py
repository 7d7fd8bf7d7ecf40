"""``jobvisor trigger``."""

import sys

import click

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="trigger")
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait for the run's end, print its output, exit with its code.")
def command(place: Place, name: str, wait: bool) -> int:
    """Run a scheduled job once, now, beside its schedule.

    With --wait the exit code is the run's, 128 + n after signal n, 1 where it was skipped.
    """
    answer = place.order("trigger", {"name": name, "wait": wait})
    for line in answer.get("output", ()):
        print(line)
    print(f"{name}: {answer['message']}", file=sys.stdout if answer["ok"] else sys.stderr)
    return int(answer["code"])
