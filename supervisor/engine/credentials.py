"""Becoming the user of a job, in its own process: groups, gid, uid, and the variables that go with them.

Names are looked up here, in the child: a directory service that is slow holds up one job and nobody else.
"""

import os
import pwd
from collections.abc import Mapping
from typing import NamedTuple

from supervisor.accounts import UnknownAccountError, gid_of


class Account(NamedTuple):
    """A user as the machine knows it."""

    uid: int
    gid: int
    name: str
    home: str
    is_listed: bool
    """False for a number that no entry of passwd(5) has: it has no supplementary groups."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What login(1) would set."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def account(user: str | int, group: str | int | None) -> Account:
    """Return who a job runs as.

    Raises:
        UnknownAccountError: there is no such user or group; the text says what to do.
    """
    try:
        entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        if isinstance(user, str):
            raise UnknownAccountError(
                f'there is no user "{user}" on this machine; create it, or correct `user`'
            ) from None
        if group is None:
            raise UnknownAccountError(f"user {user} has no entry in passwd, so no group; give `group_id` too") from None
        return Account(user, gid_of(group), str(user), "/", is_listed=False)
    gid = entry.pw_gid if group is None else gid_of(group)
    return Account(entry.pw_uid, gid, entry.pw_name, entry.pw_dir, is_listed=True)


def become(who: Account) -> None:
    """Take on groups, gid and uid, in this order; for good. One who is that user already stays as he is.

    Raises:
        PermissionError: only root can.
    """
    if os.geteuid() != 0 and (who.uid, who.gid) == (os.geteuid(), os.getegid()):
        return
    if who.is_listed:
        os.initgroups(who.name, who.gid)
    else:
        os.setgroups([who.gid])
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)


def join_group(gid: int) -> None:
    """Take on a group alone; supplementary groups stay.

    Raises:
        PermissionError: only root can, but for a group that the supervisor is in.
    """
    os.setresgid(gid, gid, gid)


def problem(user: str | int | None, group: str | int | None) -> str | None:
    """Return what is wrong with the ``user`` and ``group_id`` of a job on this machine, or None."""
    try:
        if user is not None:
            account(user, group)
        elif group is not None:
            gid_of(group)
    except UnknownAccountError as error:
        return str(error)
    return None
