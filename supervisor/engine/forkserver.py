"""The fork server: imports ``preload`` once, then only forks, watches, reaps and reports. One thread, no asyncio.

It is exec'd, never forked from the running supervisor, and has a session of its own. It ignores INT, TERM, HUP and
QUIT: it ends when its socket does, after it has stopped every job. PR_SET_PDEATHSIG is SIGCONT, so that even a stopped
fork server wakes up and sees that end.

A process that has ended is looked at with WNOWAIT, what is left of its job is killed, and only then it is reaped and
reported: the unreaped leader pins the group's id, and a report cannot be lost with its reaper.
"""

import fcntl
import gc
import importlib
import io
import multiprocessing
import multiprocessing.process
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from supervisor.engine import child, containment, linux
from supervisor.engine.probe import probe
from supervisor.wire import Message, Wire

REPORT_EVERY = 8
"""Orders after which the supervisor hears of the processes made so far, in a burst of them."""
PLACEHOLDER = "-" * 20
"""As long as the longest run id."""

_forking = multiprocessing.get_context("fork")


class Ward:
    """A process that the fork server has made and not yet reported the end of."""

    __slots__ = ("kill_at", "known", "pid", "pidfd", "run_id", "stop_signal", "stop_timeout")

    def __init__(self, spec: Message, pid: int, pidfd: int) -> None:
        self.run_id: int = spec["run_id"]
        self.pid = pid
        self.pidfd = pidfd
        self.stop_signal: int = spec["stop_signal"]
        self.stop_timeout: float | None = spec["stop_timeout"]
        self.known: set[containment.Kin] = set()
        """Descendants seen before the first signal."""
        self.kill_at: float | None = None


class ForkServer:
    """The loop of the fork server."""

    def __init__(self, wire: Wire, environ_slot: linux.EnvironSlot) -> None:
        self._wire = wire
        self._environ_slot = environ_slot
        self._epoll = select.epoll()
        self._spare = fcntl.fcntl(self._epoll, fcntl.F_DUPFD_CLOEXEC, child.CHANNEL_FD + 1)
        self._stdin = _line_buffered_streams()
        self._wards: dict[int, Ward] = {}
        self._by_pid: dict[int, Ward] = {}
        self._by_pidfd: dict[int, Ward] = {}
        self._ended: dict[int, Ward] = {}
        self._noticed = False
        self._is_orphan = False
        self._is_blocked = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, _noticed)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._handled = tuple(int(number) for number in signal.valid_signals() if _is_handled(number))
        self._epoll.register(wire, select.EPOLLIN)
        self._epoll.register(self._wake, select.EPOLLIN)

    def serve(self) -> None:
        """Return when the supervisor is gone and every job has ended."""
        while not (self._is_orphan and not self._wards):
            for fd, _ in self._epoll.poll(self._patience()):
                if fd == self._wire.fileno() and not self._is_orphan:
                    self._converse()
                elif fd == self._wake.fileno():
                    self._noticed = True
                    with suppress(BlockingIOError):
                        self._wake.recv(4096)
                elif fd in self._by_pidfd:
                    self._epoll.unregister(fd)
                    ward = self._by_pidfd.pop(fd)
                    self._ended[ward.pid] = ward
            if self._ended or self._noticed:
                self._bury()
            self._flush()
            if self._is_orphan:
                self._kill_overdue()

    def _patience(self) -> float | None:
        overdue = [ward.kill_at for ward in self._wards.values() if ward.kill_at is not None]
        return max(0.0, min(overdue) - time.monotonic()) if overdue else None

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _converse(self) -> None:
        try:
            while received := self._wire.receive():
                self.obey(received)
        except EOFError:
            self._orphaned()

    def obey(self, orders: Sequence[tuple[Message, list[int]]]) -> None:
        """Carry out the orders of a datagram; the answers go out between them."""
        for count, (order, fds) in enumerate(orders, 1):
            self._obey(order, fds)
            if count % REPORT_EVERY == 0:
                self._flush()

    def _tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        if not self._is_orphan:
            self._wire.put(message, fds)

    def _flush(self) -> None:
        """Send what waits; what the socket does not take is sent when it can be written again."""
        if self._is_orphan or not (self._wire.has_waiting or self._is_blocked):
            return
        try:
            self._wire.flush()
        except ConnectionError:
            self._orphaned()
            return
        if self._wire.has_waiting != self._is_blocked:
            self._is_blocked = self._wire.has_waiting
            self._epoll.modify(self._wire, select.EPOLLIN | (select.EPOLLOUT if self._is_blocked else 0))

    def _obey(self, order: Message, fds: list[int]) -> None:
        match order:
            case {"order": "spawn"}:
                self._spawn(order, fds)
            case {"order": "probe"}:
                self._spawn(order, fds)
            case {"order": "stop", "run_id": run_id, "signal": number} if run_id in self._wards:
                self._stop(self._wards[run_id], number)
            case {"order": "kill", "run_id": run_id} if run_id in self._wards:
                self._kill(self._wards[run_id])
        for fd in fds:
            os.close(fd)

    def _orphaned(self) -> None:
        """The supervisor is gone: stop every job by its own stop rule."""
        if self._is_orphan:
            return
        self._is_orphan = True
        self._epoll.unregister(self._wire)
        for ward in self._wards.values():
            if ward.stop_timeout == 0:
                self._kill(ward)
            else:
                ward.kill_at = None if ward.stop_timeout is None else time.monotonic() + ward.stop_timeout
                self._stop(ward, ward.stop_signal)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for ward in self._wards.values():
            if ward.kill_at is not None and ward.kill_at <= now:
                ward.kill_at = None
                self._kill(ward)

    # -- processes -----------------------------------------------------------------------------------------------------

    def _spawn(self, spec: Message, fds: list[int]) -> None:
        run_id = spec["run_id"]
        inherited = child.Inherited(
            stdout=fds[0],
            stderr=fds[1],
            channel=fds[2],
            spare=self._spare,
            parent=os.getpid(),
            environ_slot=self._environ_slot,
            handled=self._handled,
            stdin=self._stdin,
        )
        target = child.main if spec["order"] == "spawn" else probe
        process = _forking.Process(target=target, args=(spec, inherited))
        try:
            process.start()
        except OSError as error:
            self._tell({"fact": "spawn_failed", "run_id": run_id, "errno": error.errno, "text": error.strerror})
            return
        pid = process.pid
        assert pid is not None
        _let_go(process)
        pidfd = os.pidfd_open(pid)
        ward = Ward(spec, pid, pidfd)
        self._wards[run_id] = self._by_pid[pid] = self._by_pidfd[pidfd] = ward
        self._epoll.register(pidfd, select.EPOLLIN)
        self._tell({"fact": "spawned", "run_id": run_id, "pid": pid}, (pidfd,))

    def _stop(self, ward: Ward, number: int) -> None:
        ward.known |= containment.descendants(ward.pid)
        containment.signal_group(ward.pid, number)
        containment.signal_group(ward.pid, signal.SIGCONT)

    def _kill(self, ward: Ward) -> None:
        ward.known |= containment.descendants(ward.pid)
        containment.signal_group(ward.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(ward.pid, signal.SIGKILL)

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _bury(self) -> None:
        """Kill what ended jobs have left, reap adopted zombies, then reap and report the ends that left nothing."""
        self._noticed = False
        for pid in self._ended:
            containment.signal_group(pid, signal.SIGKILL)
        haunted = self._sweep()
        for ward in [ward for ward in self._ended.values() if ward.pid not in haunted]:
            self._report(ward)

    def _sweep(self) -> set[int]:
        """Deal with adopted processes once per round; return the leaders whose jobs still have some alive."""
        haunted: set[int] = set()
        for pid in containment.children(os.getpid()):
            if pid in self._by_pid:
                continue
            seen = containment.sight(pid)
            if seen is None:
                continue
            if seen.is_zombie:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                continue
            owner = self._owner(seen)
            if owner is not None:
                haunted.add(owner)
                containment.kill(pid)
        return haunted

    def _owner(self, seen: containment.Sight) -> int | None:
        """Return the leader of the ended job that an adopted process belongs to; kill one whose job is long gone."""
        for ward in self._ended.values():
            if seen.kin in ward.known or seen.session == ward.pid:
                return ward.pid
        run_id = containment.run_of(seen.kin.pid)
        if run_id is None:
            return None
        if run_id not in self._wards:
            containment.kill(seen.kin.pid)
            return None
        pid = self._wards[run_id].pid
        return pid if pid in self._ended else None

    def _report(self, ward: Ward) -> None:
        _, status, usage = os.wait4(ward.pid, 0)
        os.close(ward.pidfd)
        del self._wards[ward.run_id], self._by_pid[ward.pid], self._ended[ward.pid]
        fact: Message = {"fact": "exited", "run_id": ward.run_id}
        if os.WIFSIGNALED(status):
            fact |= {"signal": os.WTERMSIG(status), "core_dumped": os.WCOREDUMP(status)}
        else:
            fact |= {"code": os.waitstatus_to_exitcode(status)}
        self._tell(fact | {"cpu": usage.ru_utime + usage.ru_stime, "max_rss": usage.ru_maxrss * 1024})


def _line_buffered_streams() -> TextIO:
    """Make stdout and stderr line-buffered for the children, and return stdin, taken away from ``multiprocessing``.

    Its children would each close it and open another (``util._close_stdin``); ours is /dev/null already.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    stdin, sys.stdin = sys.stdin, None
    return stdin


def _is_handled(number: int) -> bool:
    return signal.getsignal(number) not in {signal.SIG_DFL, None} and number not in {signal.SIGKILL, signal.SIGSTOP}


def _noticed(_number: int, _frame: object) -> None:
    """Only there so that SIGCHLD wakes the loop through the wakeup descriptor."""


def _let_go(process: Any) -> None:
    """Keep ``multiprocessing`` from polling the process at each later start; we reap it ourselves.

    ``_children`` and ``_popen`` are private: this is the one place that knows them (Python 3.11 to 3.14).
    """
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001
    process._popen.finalizer()  # noqa: SLF001


def _preload(modules: Sequence[str], wire: Wire) -> None:
    """Import what all jobs share; the supervisor is told before each import, so that it knows which hung or crashed."""
    for name in modules:
        _say(wire, {"fact": "preloading", "module": name})
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  # whatever it raises, the jobs import it themselves
            _refuse(wire, name, f"{type(error).__name__}: {error}")
        if threading.active_count() > 1:
            _refuse(wire, name, "it leaves a thread running, and a fork beside a thread can deadlock")
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
            _say(wire, {"fact": "preload_warning", "module": name, "text": "it starts native threads"})
    gc.collect()
    gc.freeze()


def _refuse(wire: Wire, module: str, reason: str) -> None:
    """End: a fork server that has imported a bad module cannot be made good again; the supervisor starts another."""
    _say(wire, {"fact": "preload_failed", "module": module, "reason": reason})
    os._exit(1)


def _say(wire: Wire, message: Message) -> None:
    wire.put(message)
    wire.flush()


def main() -> None:
    """Run as ``python -m supervisor.engine.forkserver FD`` with the settings as the first message on that socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    linux.die_with_parent(signal.SIGCONT)
    linux.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(sock.fileno(), False)
    wire = Wire(sock)
    select.select([wire], [], [])
    (settings, _), *orders = wire.receive()
    sys.path[:1] = settings["path"]
    sys.argv[1:] = []
    slot = linux.EnvironSlot("JOBVISOR_RUN_ID")
    os.environ.pop("JOBVISOR_RUN_ID", None)
    _preload(settings["preload"], wire)
    _say(wire, {"fact": "serving"})
    server = ForkServer(wire, slot)
    server.obey(orders)
    server.serve()


if __name__ == "__main__":
    main()
