"""Who may speak to the supervisor: root, its own user, and the members of a group where one is named.

Asked of the kernel (SO_PEERCRED, SO_PEERGROUPS; unix(7)), whatever the modes of files let through.
"""

import os
import socket
import stat
import struct
from pathlib import Path

from supervisor.accounts import UnknownAccountError, gid_of
from supervisor.errors import JobvisorError
from supervisor.linux import peer_groups

_CREDENTIALS = struct.Struct("3i")
_OWNER_ALONE = 0o600
_GROUP_TOO = 0o660
_OF_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IRWXO
"""What a folder that is ours alone lacks; that a group may pass through it is what an earlier start has given."""


class Peers:
    """Those who may; ``group`` is the name or number of a group whose members do, None is no group."""

    def __init__(self, group: str | int | None = None) -> None:
        """Look the group up.

        Raises:
            JobvisorError: the machine has none of this name.
        """
        self._group = group
        try:
            self._gid = None if group is None else gid_of(group, "socket_group")
        except UnknownAccountError as error:
            raise JobvisorError(f"the control socket cannot be opened to its group: {error}") from None

    def __str__(self) -> str:
        """Return who they are, as in ``only root and … are``."""
        if self._group is None:
            return "root and the supervisor's own user"
        return f'root, the supervisor\'s own user and the members of group "{self._group}"'

    def has(self, sock: socket.socket) -> bool:
        """Tell whether the one at the other end of a connection is one of them."""
        _, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid in {0, os.geteuid()}:
            return True
        return self._gid is not None and (gid == self._gid or self._gid in peer_groups(sock.fileno()))

    def admit(self, path: str) -> None:
        """Give a bound socket the mode by which they reach it, and its folder too where that is ours alone.

        Nobody lists or writes what lies beside it: the group may only pass.

        Raises:
            JobvisorError: the group cannot be given it.
        """
        if self._gid is None:
            os.chmod(path, _OWNER_ALONE)  # the umask may have taken from it
            return
        folder = Path(path).parent
        found = folder.stat()
        try:
            os.chown(path, -1, self._gid)
            os.chmod(path, _GROUP_TOO)
            if found.st_uid == os.geteuid() and not found.st_mode & _OF_OTHERS:
                os.chown(folder, -1, self._gid)
                folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP)
        except PermissionError:
            raise JobvisorError(
                f'cannot give the control socket to group "{self._group}": the supervisor\'s user is neither root nor '
                "in it; add the user to the group, or remove `socket_group`"
            ) from None

    def closed_folders(self, path: str) -> list[str]:
        """Return the folders on the way to a socket through which the group may not pass, as sentences."""
        if self._gid is None:
            return []
        way = [each for each in reversed(Path(path).resolve().parents) if not self._may_pass(each.stat())]
        return [
            f'socket: members of group "{self._group}" cannot reach {path}: {folder} is closed to them; '
            f"open it (chmod o+x), or name a socket elsewhere"
            for folder in way
        ]

    def _may_pass(self, folder: os.stat_result) -> bool:
        """Tell it by the modes; that a member may be let through by something else is not known."""
        return bool(folder.st_mode & (stat.S_IXGRP if folder.st_gid == self._gid else stat.S_IXOTH))
