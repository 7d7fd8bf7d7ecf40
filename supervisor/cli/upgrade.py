"""``jobvisor upgrade``."""

import time

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import READ_WITHIN, Place
from supervisor.cli.progress import Waiting
from supervisor.errors import ControlError, NoSupervisorError, SupervisorGoneError

TAKES_OVER_WITHIN = 60.0
"""Seconds in which the version that has proven itself answers."""


@jobvisor(name="upgrade")
def command(place: Place) -> int:
    """Have the supervisor become the version that is installed now; no job is interrupted.

    The new version first proves in a child that it can go on from the board as it stands; else it is refused, the
    old one goes on, and this exits 1 with the reason. PID, jobs, their output and all due times go on; new runs are
    then made with code that is loaded afresh.
    """
    with place.connect() as client, Waiting("upgrade"):
        old = client.ask("ping", timeout=READ_WITHIN)
        try:
            client.ask("upgrade")
        except SupervisorGoneError:
            new = _ping(place)
        else:
            raise ControlError(1, "the supervisor has answered, and so has not become another version")
    if new["pid"] != old["pid"]:
        raise ControlError(1, f"another supervisor answers (pid {new['pid']}, not {old['pid']}); see its log")
    print(f"upgraded from version {old['version']} to {new['version']} (pid {new['pid']})")
    return 0


def _ping(place: Place) -> dict[str, str]:
    """Return what the next version says of itself: those who come meanwhile wait in the socket."""
    until = time.monotonic() + TAKES_OVER_WITHIN
    while True:
        try:
            answer: dict[str, str] = place.ask("ping", within=TAKES_OVER_WITHIN)
        except SupervisorGoneError:  # it was still the old one that took the connection
            if time.monotonic() > until:
                raise
        except NoSupervisorError as error:
            raise ControlError(1, f"the new version has ended at its start; see its log\n{error}") from error
        else:
            return answer
