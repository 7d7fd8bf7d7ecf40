"""The fork server: imports ``preload`` once, then only forks, watches, reaps and reports. One thread, no asyncio.

It is exec'd, never forked from the running supervisor, and has a session of its own. It ignores INT, TERM, HUP and
QUIT: it ends when its socket does, after it has stopped every job. PR_SET_PDEATHSIG is SIGCONT, so that even a stopped
fork server wakes up and sees that end. It blocks all signals but SIGCHLD, and its children unblock them once their
dispositions are the default: a stop that comes between the two waits, and is not lost.
"""

import faulthandler
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby

from supervisor import linux
from supervisor.engine import cgroups, containment, interpreter
from supervisor.engine.agreed import FORK_SERVER, STACK_FD, STACK_SIGNAL
from supervisor.engine.births import LOT, MALFORMED, Births, Order, Surroundings, misunderstood
from supervisor.engine.marker import Marker
from supervisor.engine.preload import preload
from supervisor.engine.wards import Wards
from supervisor.modules import put_first_on_path
from supervisor.wire import Message, Wire

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class ForkServer:
    """The loop of the fork server."""

    def __init__(self, wire: Wire, surroundings: Surroundings) -> None:
        self._wire = wire
        self._epoll = select.epoll()
        self._wards = Wards(self._epoll)
        self._noticed = False
        self._is_orphan = False
        self._is_blocked = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, _noticed)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._births = Births(
            surroundings,
            self._wards,
            self._tell,
            spares=(self._spare(), self._spare()),
            handled=tuple(int(number) for number in signal.valid_signals() if _is_handled(number)),
        )
        self._epoll.register(wire, select.EPOLLIN)
        self._epoll.register(self._wake, select.EPOLLIN)

    def _spare(self) -> int:
        return fcntl.fcntl(self._epoll, fcntl.F_DUPFD_CLOEXEC, STACK_FD + 1)

    def serve(self) -> None:
        """Return when the supervisor is gone and every job has ended."""
        while not (self._is_orphan and not self._wards):
            for fd, _ in self._epoll.poll(self._patience()):
                if fd == self._wire.fileno():
                    self._converse()
                elif fd == self._wake.fileno():
                    self._noticed = True
                    with suppress(BlockingIOError):
                        self._wake.recv(4096)
                else:
                    self._wards.note(fd)
            if self._wards.has_ended or self._noticed or self._wards.is_unsure:
                self._bury()
            self._flush()
            if self._is_orphan:
                self._kill_overdue()

    def _patience(self) -> float | None:
        if self._wards.is_unsure:
            return containment.AN_EXEC
        if not self._is_orphan:
            return None
        overdue = [ward.kill_at for ward in self._wards if ward.kill_at is not None]
        return max(0.0, min(overdue) - time.monotonic()) if overdue else None

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _converse(self) -> None:
        while not self._is_orphan:
            try:
                received = self._wire.receive()
            except EOFError:
                self._orphaned()
            except ValueError as error:
                self._tell({"fact": "misunderstood", "text": str(error)})
            else:
                if not received:
                    return
                self.obey(received)

    def obey(self, orders: Sequence[Order]) -> None:
        """Carry out the orders of a datagram; the answers go out after each lot of processes."""
        for makes, group in groupby(orders, _asks_for_a_process):
            same = list(group)
            for lot in (same[start : start + LOT] for start in range(0, len(same), LOT)):
                try:
                    if makes:
                        self._make(lot)
                        self._flush()
                    else:
                        self._carry_out(lot)
                finally:
                    for _, fds in lot:
                        for fd in fds:
                            os.close(fd)

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

    def _carry_out(self, orders: Sequence[Order]) -> None:
        for order, _ in orders:
            try:
                self._obey(order)
            except MALFORMED as error:
                self._tell(misunderstood(order, error))

    def _obey(self, order: Message) -> None:
        match order:
            case {"order": "stop", "run_id": run_id, "signal": number} if ward := self._wards.get(run_id):
                ward.stop(number)
            case {"order": "kill", "run_id": run_id} if ward := self._wards.get(run_id):
                ward.kill()
            case {"order": "ping"}:
                self._tell({"fact": "pong"})

    def _orphaned(self) -> None:
        """The supervisor is gone: stop every job by its own stop rule."""
        if self._is_orphan:
            return
        self._is_orphan = True
        self._epoll.unregister(self._wire)
        for ward in self._wards:
            if ward.stop_timeout == 0:
                ward.kill()
            else:
                ward.kill_at = None if ward.stop_timeout is None else time.monotonic() + ward.stop_timeout
                ward.stop(ward.stop_signal)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for ward in self._wards:
            if ward.kill_at is not None and ward.kill_at <= now:
                ward.kill_at = None
                ward.kill()

    # -- processes -----------------------------------------------------------------------------------------------------

    def _make(self, lot: Sequence[Order]) -> None:
        """Make the processes of a lot; a run that has one gets no second.

        Nobody would stop those that are made once every job has been told to: the supervisor's end may be found out by
        the answer to the lot before.
        """
        if self._is_orphan:
            return
        wanted: dict[int, Order] = {}
        for each in lot:
            if each[0]["run_id"] not in self._wards:
                wanted.setdefault(each[0]["run_id"], each)
        self._births.make(list(wanted.values()))

    def _bury(self) -> None:
        self._noticed = False
        for ward, status, usage in self._wards.bury():
            toll = cgroups.leave(ward.cgroup) if ward.cgroup is not None else cgroups.Toll()
            fact: Message = {"fact": "exited", "run_id": ward.run_id}
            if os.WIFSIGNALED(status):
                fact |= {"signal": os.WTERMSIG(status), "core_dumped": os.WCOREDUMP(status)}
            else:
                fact |= {"code": os.waitstatus_to_exitcode(status)}
            if toll.was_oom_killed:
                fact |= {"oom_killed": True}
            cpu = usage.ru_utime + usage.ru_stime
            self._tell(fact | {"cpu": max(cpu, toll.cpu), "max_rss": usage.ru_maxrss * 1024})


def _asks_for_a_process(received: Order) -> bool:
    match received[0]:
        case {"order": "spawn" | "probe", "run_id": int()}:
            return True
    return False


def _is_handled(number: int) -> bool:
    return signal.getsignal(number) not in {signal.SIG_DFL, None} and number not in {signal.SIGKILL, signal.SIGSTOP}


def _noticed(_number: int, _frame: object) -> None:
    """Only there so that SIGCHLD wakes the loop through the wakeup descriptor."""


def _surroundings(settings: Mapping[str, object]) -> dict[str, str]:
    """Put this process into the jobs' surroundings, and return the environment that ``command`` jobs start from.

    What a preloaded module adds to ``os.environ`` is for Python jobs, which would have got it by the same import.
    """
    path = settings["path"]
    assert isinstance(path, list)
    put_first_on_path(path)
    sys.argv[1:] = []
    os.environ.pop("JOBVISOR_RUN_ID", None)
    environ = settings["environ"]
    assert isinstance(environ, dict)
    os.environ.update(environ)
    return dict(os.environ)


def main() -> None:
    """Run as ``python -m supervisor.engine.forkserver FD`` with the settings as the first message on that socket.

    Descriptors that come with it are only held open until the end. An import that hangs must not outlive the
    supervisor, so until it serves, this process dies with it.
    """
    _ignore_signals()
    linux.allow_most_files()
    linux.die_with_parent(signal.SIGKILL)
    linux.adopt_orphans()
    linux.name_process(FORK_SERVER)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(sock.fileno(), False)
    wire = Wire(sock)
    wire.wait()
    try:
        (settings, _), *orders = wire.receive()
    except EOFError:
        return  # the supervisor has given up its start
    if _is_hung_up(wire):
        return
    slot = linux.EnvironSlot("JOBVISOR_RUN_ID")
    environ = _surroundings(settings)

    def say(message: Message, fds: Sequence[int] = ()) -> None:
        wire.put(message, fds)
        with suppress(ConnectionError):  # the loop sees that end
            wire.flush()

    preload(settings["preload"], say)
    interpreter.forget_exit_handlers()
    _ignore_signals()  # a preloaded module may have handled one
    faulthandler.register(STACK_SIGNAL, file=STACK_FD)  # for the children: it is blocked here
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})
    linux.die_with_parent(signal.SIGCONT)
    marker = Marker()
    say({"fact": "serving"}, (marker.fd,))
    server = ForkServer(
        wire,
        Surroundings(
            environ=environ,
            run_id_slot=slot,
            nofile=(settings["nofile"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
            marker=marker,
            delegation=cgroups.Delegation(*settings["cgroup"]) if settings["cgroup"] else None,
        ),
    )
    server.obey(orders)
    server.serve()


def _is_hung_up(wire: Wire) -> bool:
    """Tell whether the supervisor is gone already, and so cannot end this process by its death."""
    poll = select.poll()
    poll.register(wire, 0)
    return bool(poll.poll(0))


def _ignore_signals() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
