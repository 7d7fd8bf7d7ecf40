"""``jobvisor version``."""

import json

from supervisor import __version__
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.errors import JobvisorError


@jobvisor(name="version")
@as_json
def command(place: Place, as_json: bool) -> int:
    """Print the version of this program, and of the running supervisor where there is one."""
    try:
        running = place.ask("ping")["version"]
    except JobvisorError:
        running = None
    if as_json:
        print(json.dumps({"version": __version__, "supervisor": running}))
        return 0
    print(f"jobvisor {__version__}")
    if running not in {None, __version__}:
        print(f"the running supervisor is {running}; restart it to use this version")
    return 0
