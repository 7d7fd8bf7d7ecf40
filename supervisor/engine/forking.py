"""Forks that are born in a cgroup: to join one later waits for an RCU grace period, some 15 ms (measured, Linux 6.18).

clone3(2) with ``CLONE_INTO_CGROUP`` (Linux 5.7). It is a fork as glibc makes it, to the thread's id and its list of
robust mutexes, but for the handlers of pthread_atfork(3): they are for processes with several threads, so where a
preloaded module has left a thread of its own, the plain fork is taken and the child joins its cgroup by itself.
"""

import ctypes
import errno
import os
import signal
import threading
from collections.abc import Callable
from typing import NamedTuple

_SYS_CLONE3 = 435
_ROBUST_LIST_CALLS = {"x86_64": (273, 274), "aarch64": (99, 100), "riscv64": (99, 100)}
"""set_robust_list(2) and get_robust_list(2), which have other numbers on other machines."""
_CHILD_CLEARTID, _CHILD_SETTID, _INTO_CGROUP = 0x0020_0000, 0x0100_0000, 0x2_0000_0000
_PR_GET_TID_ADDRESS = 40
_TASKS_OF_ONE = 3
"""Links of /proc/self/task where there is one thread."""
NOT_HAD = frozenset({errno.EAGAIN, errno.ENOMEM})
"""Why a process cannot be had, by this call or another; any other error is of this call alone."""

_libc = ctypes.PyDLL(None, use_errno=True)
"""Calls keep the GIL: the child's one thread must hold it."""
_python = ctypes.pythonapi
_size = ctypes.c_size_t


class _CloneArgs(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    )


class IntoCgroup:
    """Forks of this process that are born in the cgroup they are given; for its main thread."""

    def __init__(self) -> None:
        self._thread = _thread()

    @property
    def can_serve(self) -> bool:
        """Whether forks of this process as it is now may be made so."""
        return self._thread is not None and os.stat("/proc/self/task").st_nlink == _TASKS_OF_ONE

    def fork_into(self, cgroup: int) -> Callable[[], int]:
        """Return a stand-in for ``os.fork`` whose child is in the cgroup of this descriptor.

        It raises OSError: of ``NOT_HAD`` where there is no process to be had, of others where there is not in this way.
        """
        thread = self._thread
        assert thread is not None
        args = _CloneArgs(
            flags=_CHILD_SETTID | _CHILD_CLEARTID | _INTO_CGROUP,
            child_tid=thread.tid_address,
            exit_signal=signal.SIGCHLD,
            cgroup=cgroup,
        )
        call = (_SYS_CLONE3, ctypes.byref(args), _size(ctypes.sizeof(args)))
        register = (thread.set_robust_list, thread.robust_list, thread.robust_list_size)
        # each that the child would be the first to look up is a dozen pages that it copies
        syscall, before, after_in_child, after = (
            _libc.syscall,
            _python.PyOS_BeforeFork,
            _python.PyOS_AfterFork_Child,
            _python.PyOS_AfterFork_Parent,
        )

        def fork() -> int:
            # between the hooks Python holds its locks of imports and, from 3.13, of threads: all is made before
            before()
            pid = syscall(*call)
            if pid == 0:
                syscall(*register)
                after_in_child()
                return 0
            number = ctypes.get_errno()
            after()
            if pid < 0:
                raise OSError(number, os.strerror(number))
            return int(pid)

        return fork

    def give_up(self) -> None:
        """Make no more forks in this way: the kernel, or a filter of system calls, has none."""
        self._thread = None


class _Thread(NamedTuple):
    """What glibc has told the kernel of a thread, and tells it anew in each fork."""

    tid_address: int
    robust_list: ctypes.c_void_p
    robust_list_size: ctypes.c_size_t
    set_robust_list: int


def _thread() -> _Thread | None:
    """Return what is known of this thread; None where something is not, as on a kernel without checkpoint/restore."""
    tid_address, robust_list, size = ctypes.c_void_p(), ctypes.c_void_p(), _size()
    calls = _ROBUST_LIST_CALLS.get(os.uname().machine)
    if (
        calls is None
        or _libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(tid_address), 0, 0, 0) != 0
        or _libc.syscall(calls[1], 0, ctypes.byref(robust_list), ctypes.byref(size)) != 0
        or tid_address.value is None
        or ctypes.c_int.from_address(tid_address.value).value != threading.get_native_id()
    ):
        return None
    return _Thread(tid_address.value, robust_list, size, calls[0])
