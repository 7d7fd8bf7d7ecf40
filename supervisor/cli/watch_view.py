"""``status --watch``: the table, drawn anew when the supervisor tells of a change, and each second for its clocks."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from supervisor.cli.output import write
from supervisor.cli.place import Place
from supervisor.cli.status_view import UNHEALTHY
from supervisor.cli.table import status_lines
from supervisor.errors import NoSupervisorError

CLOCK = 1.0
"""Seconds after which times such as ``in 4m57s`` are drawn anew."""


def watch(place: Place, names: list[str]) -> int:
    """Show the table until Ctrl-C, leave its last state behind, and return what ``status`` would.

    Raises:
        NoSupervisorError: it has ended meanwhile.
    """
    console = Console(highlight=False)
    status: dict[str, Any] = {}
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for status in _told(place, names):
                live.update(_drawn(status, console), refresh=True)
    except KeyboardInterrupt:
        if status:
            console.print(_drawn(status, console))
            return 0 if status["supervisor"]["healthy"] else UNHEALTHY
        raise
    raise NoSupervisorError("the supervisor has ended")


def watch_json(place: Place, names: list[str]) -> int:
    """Print the status as one JSON object a line, now and after each change, until the supervisor ends."""
    with place.connect() as client:
        for status in client.stream("watch", {"names": names}):
            write(json.dumps(status))
    return 0


def _told(place: Place, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the status as it is told, and the last one again when its clocks have moved on."""
    status: dict[str, Any] | None = None
    with place.connect() as client:
        for told in client.stream("watch", {"names": names, "described": True}, every=CLOCK):
            status = told or status
            if status is not None:
                yield status


def _drawn(status: dict[str, Any], console: Console) -> Text:
    """Return the table, fitted to the terminal; what does not fit its height is counted."""
    coloured = not os.environ.get("NO_COLOR")
    lines = status_lines(status, time.time(), width=console.width, coloured=coloured)
    most = console.height - 1
    if len(lines) > most > 1:
        lines = [*lines[: most - 1], f"and {len(lines) - most + 1} more lines"]
    return Text("\n").join(Text.from_ansi(line, no_wrap=True, overflow="crop", end="") for line in lines)


def is_terminal() -> bool:
    """Tell whether there is a terminal to draw on."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
