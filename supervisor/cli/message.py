"""Messages to a Worker: read from the command line, asked of the supervisor, and the answer printed."""

import json
from typing import Any

import click

from supervisor.cli.place import Place
from supervisor.core.durations import parse_duration
from supervisor.errors import WrongUsageError

GRACE = 5.0
"""Seconds that the supervisor has beyond the time that the Worker has."""


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    try:
        return parse_duration(value).total_seconds()
    except ValueError as error:
        raise click.BadParameter(f'cannot read "{value}": {error}') from None


within = click.option(
    "--timeout", "within", callback=_seconds, default="5s", show_default=True, help="How long to wait for the answer."
)


def parsed(text: str) -> Any:
    """Return the JSON value that a person typed.

    Raises:
        WrongUsageError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsageError(f"not JSON: {text[:80]}: {error}; a text is written as '\"text\"'") from None


def ask(place: Place, method: str, name: str, content: Any, within: float) -> Any:
    """Return a Worker's answer.

    Raises:
        ControlError: there is none, or it took longer than ``within`` seconds; the text says why.
    """
    params = {"names": [name], "content": content, "timeout": within}
    return place.ask(method, params, within=within + GRACE)["reply"]


def say(reply: Any, *, as_json: bool) -> int:
    """Print an answer: a text as it is, anything else as JSON."""
    print(reply if isinstance(reply, str) and not as_json else json.dumps(reply, indent=2))
    return 0
