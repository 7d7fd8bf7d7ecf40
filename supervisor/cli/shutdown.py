"""``jobvisor shutdown``."""

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.cli.progress import Waiting


@jobvisor(name="shutdown")
def command(place: Place) -> int:
    """End the supervisor and all jobs, and return when they have ended. Holds nothing: the next `run` starts all."""
    with place.connect() as client, Waiting("shutdown") as waiting:
        pid = client.end(waiting.tell if place.shows_progress else None)
    print(f"ended (pid {pid})")
    return 0
