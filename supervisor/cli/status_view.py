"""What ``status`` prints. Imports little: it is the command that people and monitors call most."""

import json
import os
import sys
import time

from supervisor.cli.place import Place
from supervisor.cli.table import HEADERS, aligned, coloured, status_rows

UNHEALTHY = 3


def show(place: Place, names: list[str], *, as_json: bool) -> int:
    """Print the health of jobs; return 0 where every one of them is well, else 3."""
    status = place.ask("status", {"names": names})
    if as_json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(_lines(status)))
    return 0 if status["supervisor"]["healthy"] else UNHEALTHY


def _lines(status: dict[str, list[dict[str, str]]]) -> list[str]:
    is_terminal = sys.stdout.isatty()
    width = os.get_terminal_size().columns if is_terminal else None
    jobs = status["jobs"]
    lines = aligned(HEADERS, status_rows(jobs, time.time(), seconds), width)
    if is_terminal and not os.environ.get("NO_COLOR"):
        lines[1:] = [coloured(line, job) for line, job in zip(lines[1:], jobs, strict=True)]
    return [*lines, *(f"warning: {warning}" for warning in status["warnings"])]


def seconds(text: str) -> float:
    """Return an ISO 8601 UTC time as seconds since the epoch."""
    from datetime import datetime  # noqa: PLC0415  # only where a time is shown

    return datetime.fromisoformat(text).timestamp()
