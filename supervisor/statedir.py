"""The state folder: made private, held by one supervisor at a time.

The lock is flock(2) on a file opened close-on-exec: it ends with the supervisor however that ends, and no child holds
it.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.errors import AlreadyRunningError, JobvisorError


def make_private(folder: Path) -> None:
    """Create a folder for the supervisor's own user alone, whatever the umask; an existing one is left as it is."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise JobvisorError(f"{folder} is not a folder; move it away or name another one in [supervisor]") from None
    except OSError as error:
        raise JobvisorError(f"cannot create {folder}: {error.strerror}") from error
    else:
        folder.chmod(0o700)


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
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise JobvisorError(f"cannot open {self._path}: {error.strerror}") from error
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock."""
        os.close(self._fd)


def boot_id() -> str:
    """Return the kernel's name of this boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
