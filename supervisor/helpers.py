"""Processes of ours beside the supervisor, each exec'd with one end of a socket pair."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import socket
from typing import NamedTuple, Self

from supervisor.modules import command, cwd
from supervisor.wire import pair


class Helper(NamedTuple):
    """A process of ours that serves one socket, and our end of it."""

    process: "subprocess.Popen[bytes]"
    sock: socket

    def give_up(self) -> None:
        """End a helper that nobody has taken into use."""
        self.sock.close()
        self.process.kill()
        self.process.wait()


def start(module: str, environ: Mapping[str, str], *, stdout: int | None = subprocess.DEVNULL) -> Helper:
    """Exec a module that finds its end of a socket pair by the number in its first argument.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = pair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                command(module, str(theirs.fileno())),
                env=environ,
                cwd=cwd(),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
    return Helper(process, ours)


class Standby:
    """A helper that is exec'd before there is anybody to use it, as a context; one that nobody takes is given up.

    Where it cannot be started there is none: who needs one then starts it and tells what is wrong.
    """

    def __init__(self, start: Callable[[], Helper]) -> None:
        self.helper: Helper | None = None
        with suppress(OSError):
            self.helper = start()

    def take(self) -> Helper | None:
        """Return the helper, once."""
        helper, self.helper = self.helper, None
        return helper

    def __enter__(self) -> Self:
        """Wait for who takes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it up where nobody has."""
        if self.helper is not None:
            self.helper.give_up()
