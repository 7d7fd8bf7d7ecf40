"""The throw-away process that tries targets, so that a missing one is known before it is due."""

import os
import shutil
import signal
import socket
from collections.abc import Mapping
from typing import Any

from supervisor.engine import linux
from supervisor.engine.channel import Channel
from supervisor.engine.child import CHANNEL_FD, Inherited
from supervisor.engine.targets import TargetError, Wanted, find, kind_of


def probe(spec: Mapping[str, Any], inherited: Inherited) -> None:
    """Try each target and tell what it is; one that never comes back is known by its silence."""
    os.dup2(inherited.stdout, 1)
    os.dup2(inherited.stderr, 2)
    os.dup2(inherited.channel, CHANNEL_FD, inheritable=False)
    os.closerange(CHANNEL_FD + 1, 2**31 - 1)
    os.setsid()
    linux.die_with_parent(signal.SIGKILL)
    if os.getppid() != inherited.parent:
        return
    os.chdir(spec["folder"])
    channel = Channel(socket.socket(fileno=CHANNEL_FD))
    for wish in spec["targets"]:
        wanted = Wanted(wish["job"], wish["where"], wish["target"], spec["folder"])
        try:
            channel.send("found", job=wanted.job, target=kind_of(find(wanted)).value)
        except TargetError as error:
            channel.send("missing", job=wanted.job, problem=str(error))
    os._exit(0)


def program_problem(wanted: Wanted, program: str, path: str | None, cwd: str) -> str | None:
    """Return what is wrong with the program of a ``command``, or None."""
    found = shutil.which(program if "/" not in program else os.path.join(cwd, program), path=path)
    if found is not None:
        return None
    where = f" ({wanted.where})" if wanted.where else ""
    place = (
        f"{os.path.join(cwd, program)} is missing or not executable" if "/" in program else f'no "{program}" on PATH'
    )
    return f'job "{wanted.job}"{where}: cannot find its program: {place}; install it, or correct `command`'
