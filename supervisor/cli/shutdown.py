"""``jobvisor shutdown``."""

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place


@jobvisor(name="shutdown")
def command(place: Place) -> int:
    """End the supervisor and all jobs, and return when they have ended. Holds nothing: the next `run` starts all."""
    with place.connect() as client:
        pid = client.end()
    print(f"ended (pid {pid})")
    return 0
