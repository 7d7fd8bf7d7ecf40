"""The state folder: made private, held by one supervisor at a time.

The lock is flock(2) on a file opened close-on-exec: it ends with the supervisor however that ends, and no child holds
it.
"""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.errors import AlreadyRunningError, JobvisorError


def make_private(folder: Path) -> None:
    """Create a folder for the supervisor's own user alone, whatever the umask; an existing one is left as it is.

    Raises:
        JobvisorError: it cannot be created, or is not ours alone to write: whoever else can could put a file or a link
            of his own in the place of each that is kept there, or another folder in the place of this one.
    """
    _refuse_shared_above(folder)
    try:
        for above in reversed([each for each in folder.parents if not each.exists()]):
            above.mkdir(mode=0o755, exist_ok=True)  # for us alone to write, also where the umask forbids nothing
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise JobvisorError(f"{folder} is not a folder; move it away or name another one in [supervisor]") from None
        _refuse_shared(folder)
    except OSError as error:
        raise JobvisorError(f"cannot create {folder}: {error.strerror}") from error
    else:
        folder.chmod(0o700)


def _refuse_shared_above(folder: Path) -> None:
    """Refuse a folder in one where everybody may rename what is in it; in one that is sticky (/tmp) only owners may."""
    for above in folder.resolve().parents:
        try:
            mode = above.stat().st_mode
        except OSError:
            continue  # not there yet, or not ours to see: what is made of it is told then
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise JobvisorError(
                f"everybody can write to {above}, and so put another folder in the place of {folder}; "
                f"take that right away: chmod o-w {above}"
            )


def _refuse_shared(folder: Path) -> None:
    ours = {0, os.geteuid()}
    found = folder.stat()
    if found.st_uid not in ours or folder.lstat().st_uid not in ours:
        raise JobvisorError(
            f"{folder} belongs to user {found.st_uid}, who could change what is kept there; "
            "give it to the supervisor's user, or name another one in [supervisor]"
        )
    if found.st_mode & stat.S_IWOTH:
        raise JobvisorError(f"everybody can write to {folder}; take that right away: chmod o-w {folder}")


class Lock:
    """Holds a state folder, as a context."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "lock"
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            AlreadyRunningError: another supervisor has it; the text names its pid.
        """
        self._fd = _opened(self._path)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._fd, 20, 0).decode().strip() or "unknown"
            os.close(self._fd)
            raise AlreadyRunningError(
                f"another supervisor (pid {pid}) runs on {self._path.parent}; "
                "ask it with `jobvisor status`, end it with `jobvisor shutdown`"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    @property
    def fd(self) -> int:
        """The descriptor whose open file has the lock."""
        return self._fd

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock."""
        os.close(self._fd)


class Vacancy:
    """Holds the right to start jobs on a state folder, as a context; the fork server holds it on.

    A fork server outlives a supervisor that was killed, until it has ended its jobs. It holds the same open file, and
    flock(2) belongs to that: so the next supervisor can wait until no job of the one before it is left.
    """

    def __init__(self, state_dir: Path, say: Callable[[str], object]) -> None:
        self._path = state_dir / "jobs.lock"
        self._say = say

    def __enter__(self) -> int:
        """Return the descriptor to hand on, once the jobs of a killed supervisor have ended.

        Raises:
            JobvisorError: the file cannot be opened.
        """
        self._fd = _opened(self._path)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._say("the supervisor before this one was killed; waiting until its jobs have been stopped")
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self._fd

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it up; a fork server that still ends jobs holds it on."""
        os.close(self._fd)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise JobvisorError(f"cannot open {path}: {error.strerror}") from error


def boot_id() -> str:
    """Return the kernel's name of this boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
