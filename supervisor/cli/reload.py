"""``jobvisor reload``."""

import sys

from supervisor.cli import orders
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="reload")
def command(place: Place) -> int:
    """Apply the edited manifest: new jobs start, removed ones stop, only changed ones restart.

    A bad manifest changes nothing. Exits 1 when the manifest is bad or a job did not come up.
    """
    answer = place.order("reload", {})
    for problem in answer["problems"]:
        print(problem, file=sys.stderr)
    if answer["problems"]:
        print("nothing was changed", file=sys.stderr)
        return 1
    changes = [change for change in answer["changes"] if change["change"] != "unchanged"]
    for change in changes:
        print(f"{change['name']}: {change['change']}")
    if not changes:
        print("nothing has changed")
    return orders.say([job for job in answer["jobs"] if not job["ok"]])
