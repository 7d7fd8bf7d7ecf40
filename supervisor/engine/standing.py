"""What a job's process is given of its own: priority, limits, user, input. Each is a step of the child's start."""

import os
import resource
import stat
from collections.abc import Mapping, Sequence
from errno import EPERM
from typing import Any

from supervisor import linux
from supervisor.accounts import gid_of
from supervisor.engine.credentials import account, become, join_group


def set_priority(nice: int) -> None:
    """Set the nice value.

    Raises:
        PermissionError: only root can go below the supervisor's own.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except PermissionError as error:
        raise PermissionError(error.errno, f"{error.strerror}: only root can raise the priority to {nice}") from error


def limit(rlimits: Sequence[tuple[int, int, int]]) -> None:
    """Set limits: number, soft and hard value of each.

    Raises:
        PermissionError: only root can go above the supervisor's own.
    """
    for number, soft, hard in rlimits:
        try:
            resource.setrlimit(number, (soft, hard))
        except ValueError as error:  # what setrlimit(2) refuses by EPERM
            _, most = resource.getrlimit(number)
            raise PermissionError(
                EPERM, f"{os.strerror(EPERM)}: only root can raise a limit above {most}, the supervisor's own"
            ) from error


def change_user(spec: Mapping[str, Any]) -> None:
    """Become the job's user, or join its group.

    The change makes the process one that its user cannot look into (PR_SET_DUMPABLE, prctl(2)): a Python job carries
    the fork server's memory. Only a job that is to dump core gives that up.

    Raises:
        PermissionError: only root can.
        UnknownAccountError: there is no such user or group.
    """
    user, group = spec.get("user"), spec.get("group")
    try:
        if user is None:
            join_group(gid_of(group or 0))
            return
        who = account(user, group)
        for name, value in who.environ.items():
            os.environ[name] = spec["env"].setdefault(name, value)
        for output in (1, 2) if spec["owns_output"] else ():
            if stat.S_ISFIFO(os.fstat(output).st_mode):
                os.fchown(output, who.uid, who.gid)  # so that the job can open /dev/stderr
        become(who)
    except PermissionError as error:
        wanted = f'with group "{group}"' if user is None else f'as user "{user}"'
        raise PermissionError(EPERM, f"{os.strerror(EPERM)}: only root can run a job {wanted}") from error
    if any(number == resource.RLIMIT_CORE and soft != 0 for number, soft, _ in spec.get("rlimits", ())):
        linux.allow_core_dump()


def read_from(path: str) -> None:
    """Have a file as standard input."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(fd, 0)
    os.close(fd)
