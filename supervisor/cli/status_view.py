"""What ``status`` prints. Imports little: it is the command that people and monitors call most."""

import json
import os
import sys
import time

from supervisor.cli.output import write
from supervisor.cli.place import Place
from supervisor.cli.table import status_lines, terminal_width

UNHEALTHY = 3


def show(place: Place, names: list[str], *, as_json: bool) -> int:
    """Print the health of jobs; return 0 where every one of them is well, else 3."""
    status = place.ask("status", {"names": names, "described": not as_json})
    if as_json:
        write(json.dumps(status, indent=2))
    else:
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        coloured = is_terminal and not os.environ.get("NO_COLOR")
        write("\n".join(status_lines(status, time.time(), width=terminal_width(), coloured=coloured)))
    return 0 if status["supervisor"]["healthy"] else UNHEALTHY
