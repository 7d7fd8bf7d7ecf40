"""``jobvisor signal``."""

import json
import signal

import click

from supervisor.cli import orders
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.durations import parse_signal
from supervisor.errors import WrongUsageError


@jobvisor(name="signal")
@click.argument("name")
@click.argument("number", metavar="SIGNAL")
@as_json
def command(place: Place, name: str, number: str, as_json: bool) -> int:
    """Send a signal (HUP, SIGUSR1, RTMIN+1 or a number) to a job's own process, not to what that has started.

    NAME may be a pattern. Exits 1 where a job that is meant has no process. If the job ends by the signal, its restart
    policy decides: `stop` is what holds it.
    """
    jobs = place.ask("signal", {"names": [name], "signal": _number(number)})["jobs"]
    if as_json:
        print(json.dumps(jobs, indent=2))
        return 0 if all(job["ok"] for job in jobs) else 1
    return orders.say(jobs)


def _number(text: str) -> int:
    if text.isdecimal() and int(text) in signal.valid_signals():
        return int(text)
    try:
        return parse_signal(text)
    except ValueError as error:
        raise WrongUsageError(f'"{text}" is not a signal: {error}') from None
