"""Processes of ours beside the supervisor, each exec'd with one end of a socket pair."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import socket
from typing import NamedTuple, Self

from supervisor.modules import command, cwd
from supervisor.wire import pair


class Inherited:
    """A process that was started before an exec, and is our child still: as ``subprocess.Popen`` has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """Return its exit code, negative for a signal, once it has ended."""
        code = self._reap(0)
        assert code is not None
        return code

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self, options: int) -> int | None:
        if self._returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else has reaped it: how it ended is lost, as for ``Popen``
                pid, status = self.pid, 0
            if pid:
                self._returncode = os.waitstatus_to_exitcode(status)
        return self._returncode


class Helper(NamedTuple):
    """A process of ours that serves one socket, and our end of it."""

    process: "subprocess.Popen[bytes] | Inherited"
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


FIRST_PAUSE = 0.05
"""Seconds before the second replacement in a row of a helper that died; doubled up to LONGEST_PAUSE."""
LONGEST_PAUSE = 5.0
STEADY_AFTER = 10.0
"""Seconds after which a helper that dies has died of something new."""


class Pacing:
    """How soon a helper that died is replaced: at once, and ever later where the next one dies too."""

    def __init__(self) -> None:
        self.pause = 0.0
        """Seconds before the next replacement, unless the helper has been steady by then."""

    def after(self, lived: float) -> float:
        """Return how long to wait, in seconds, after the death of a helper that lived so many."""
        pause = 0.0 if lived > STEADY_AFTER else self.pause
        self.pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        return pause


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
