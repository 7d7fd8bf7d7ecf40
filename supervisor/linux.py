"""What we need of Linux and Python does not offer: prctl(2), close_range(2), who a peer is, what /proc shows."""

import ctypes
import errno
import os
import resource
import socket
import time
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_SYS_CLOSE_RANGE = 436
_SO_PEERGROUPS = 59
_ARG_START, _ENV_START = 45, 47

_libc = ctypes.CDLL(None, use_errno=True)
_prctl_of_libc = _libc.prctl


def die_with_parent(signal: int) -> None:
    """Get this signal when the thread that forked this process ends. A change of uid or gid clears it."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (child subreaper)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def allow_core_dump() -> None:
    """Undo what a change of uid does: this process dumps core, and its user may look into it."""
    _prctl(_PR_SET_DUMPABLE, 1)


def name_process(name: str) -> None:
    """Set what /proc/PID/stat calls this process and its forks until they exec; at most 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode())


def allow_most_files() -> None:
    """Raise this process's own limit of open files as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _prctl(option: int, value: int | bytes) -> None:
    if _prctl_of_libc(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")


def peer_groups(fd: int) -> frozenset[int]:
    """Return the supplementary groups of the process at the other end, as they were when it connected (unix(7)).

    Python's own getsockopt has room for 256 of them, the kernel for 65,536.
    """
    size = ctypes.c_uint(0)
    asked = _libc.getsockopt(fd, socket.SOL_SOCKET, _SO_PEERGROUPS, None, ctypes.byref(size))
    if asked == 0:
        return frozenset()
    if ctypes.get_errno() == errno.ERANGE:  # it has said how many bytes they are
        groups = (ctypes.c_uint32 * (size.value // 4))()
        if _libc.getsockopt(fd, socket.SOL_SOCKET, _SO_PEERGROUPS, groups, ctypes.byref(size)) == 0:
            return frozenset(groups)
    number = ctypes.get_errno()
    raise OSError(number, f"getsockopt: {os.strerror(number)}")


def _is_closerange_quick() -> bool:
    """Tell whether ``os.closerange`` is one system call.

    That of a Python that was built for an older libc, or under a filter of system calls, tries each number.
    """
    began = time.thread_time()
    os.closerange(1 << 20, (1 << 20) + 100_000)
    return time.thread_time() - began < 0.001


_is_quick = _is_closerange_quick()


def close_from(first: int) -> None:
    """Close every descriptor from this one on."""
    if _is_quick:
        os.closerange(first, 2**31 - 1)
        return
    if _libc.syscall(_SYS_CLOSE_RANGE, first, -1, 0) == 0:
        return
    for name in os.listdir("/proc/self/fd"):
        if int(name) >= first:
            with suppress(OSError):  # the listing's own descriptor is closed by now
                os.close(int(name))


def contents(path: str) -> bytes:
    """Return what a file of the kernel's says, by as few system calls as it takes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while more := os.read(fd, 1 << 16):
            found += more
        return found
    finally:
        os.close(fd)


class ExecMemory:
    """A part of the memory with which this process was exec'd, and that /proc shows of it; overwritten in place.

    In a forked child that memory is the parent's until it is written to: one page, that the environment and the command
    line mostly share.
    """

    def __init__(self, start: int, room: int) -> None:
        self.memory = memoryview((ctypes.c_char * room).from_address(start)).cast("B")

    def fit(self, value: str) -> bytes:
        """Return what to overwrite the whole with; what the value leaves is empty, what does not fit is cut."""
        room = len(self.memory)
        return value.encode(errors="replace")[:room].ljust(room, b"\0")


class EnvironSlot(ExecMemory):
    """The value of a variable of the environment.

    Writing the run id over a placeholder of fixed length there makes every fork of a job tell whose it is, whatever
    ``os.environ`` says.
    """

    def __init__(self, name: str) -> None:
        """Find the variable; ``KeyError`` where the process was exec'd without it."""
        start, end = _bounds(_ENV_START)
        memory = b"\0" + ctypes.string_at(start, end - start)
        at = memory.find(f"\0{name}=".encode())
        if at < 0:
            raise KeyError(name)
        super().__init__(start + at + len(name) + 1, memory.index(b"\0", at + 1) - at - len(name) - 2)


class CommandLine(ExecMemory):
    """What ``ps`` shows. Its last byte stays empty: the kernel would read on into the environment (proc(5))."""

    def __init__(self) -> None:
        start, end = _bounds(_ARG_START)
        super().__init__(start, end - start - 1)


def _bounds(field: int) -> tuple[int, int]:
    """Return a field of /proc/self/stat and the next: where a part of the exec'd memory starts and ends."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[field]), int(fields[field + 1])
