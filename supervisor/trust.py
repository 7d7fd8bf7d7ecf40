"""Who else could change what runs with the supervisor's rights: warnings, where jobs run as other users.

Judged by owner and mode of the files and of the folders that they lie in. What a job's user can write, it can have the
supervisor's user run at the next start: a module of ``preload``, and every module before it on sys.path.
"""

import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from supervisor.core.manifest import Manifest


class User(NamedTuple):
    """A user of the manifest, as file modes see it."""

    name: str
    uid: int
    gids: frozenset[int]


def warnings(manifest: Manifest) -> list[str]:
    """Return a line for each module of ``preload``, and for the manifest, that a job's user could change."""
    users = {user.uid: user for job in manifest.jobs if (user := _user(job.process.user)) is not None}
    own = os.geteuid()
    found: list[str] = []
    for user in (user for uid, user in users.items() if uid not in {0, own}):
        if can_write(user, manifest.path):
            found.append(f'{manifest.path} can be changed by user "{user.name}", as which a job runs')
        found += [
            f'preload: "{module}" can be changed by user "{user.name}", as which a job runs: {path}'
            for module in manifest.settings.preload
            if (path := _weak_spot(user, module, manifest.python_path))
        ]
    return found


def _user(name: str | int | None) -> User | None:
    with suppress(KeyError):
        if isinstance(name, str):
            entry = pwd.getpwnam(name)
            return User(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))
        if name is not None:
            entry = pwd.getpwuid(name)
            return User(entry.pw_name, name, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))
    return User(str(name), name, frozenset()) if isinstance(name, int) else None


def _weak_spot(user: User, module: str, folders: Sequence[str]) -> str | None:
    """Return the first file or folder by which a user could have another module imported in the place of this one."""
    for folder in folders:
        for path in _files(folder, module):
            if can_write(user, path):
                return path
        if can_write(user, folder):
            return folder
    return None


def _files(folder: str, module: str) -> Iterator[str]:
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        stem = os.path.join(folder, *parts[:count])
        yield from (path for path in (f"{stem}.py", stem, f"{stem}/__init__.py") if os.path.exists(path))


def can_write(user: User, path: str) -> bool:
    """Tell whether a user can write a file or folder, or put another one in its place."""
    above = os.path.dirname(os.path.abspath(path))
    return _may_write(user, path) or (above != path and _may_replace(user, path, above))


def _may_replace(user: User, path: str, above: str) -> bool:
    """Tell whether a user may rename what lies in a folder; in one with the sticky bit only the owner may."""
    if not _may_write(user, above):
        return False
    return not os.stat(above).st_mode & stat.S_ISVTX or user.uid in {os.stat(above).st_uid, os.lstat(path).st_uid}


def _may_write(user: User, path: str) -> bool:
    found = os.stat(path)
    if found.st_uid == user.uid:
        return True  # an owner can give it back to himself
    if found.st_gid in user.gids:
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)
