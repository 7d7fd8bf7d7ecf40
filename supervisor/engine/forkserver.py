"""The fork server: imports ``preload`` once, then only forks, watches, reaps and reports. One thread, no asyncio.

It is exec'd, never forked from the running supervisor, and has a session of its own. It ignores INT, TERM, HUP and
QUIT: it ends when its socket does, after it has stopped every job. PR_SET_PDEATHSIG is SIGCONT, so that even a stopped
fork server wakes up and sees that end. It blocks all signals but SIGCHLD, and its children unblock them once their
dispositions are the default: a stop that comes between the two waits, and is not lost.
"""

import errno
import faulthandler
import fcntl
import io
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from supervisor import linux
from supervisor.engine import cgroups, child, containment, forking, interpreter
from supervisor.engine.agreed import FORK_SERVER, STACK_FD, STACK_SIGNAL
from supervisor.engine.marker import Marker
from supervisor.engine.preload import preload
from supervisor.engine.probe import probe
from supervisor.engine.wards import Ward, Wards
from supervisor.modules import put_first_on_path
from supervisor.wire import Message, Wire

REPORT_EVERY = 8
"""Orders after which the supervisor hears of the processes made so far, in a burst of them."""
SPARE_FDS = 32
"""Descriptors that are kept back from new processes, for the files in /proc by which the living ones are ended."""
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_Main = Callable[[Message, child.Inherited], None]


class ForkServer:
    """The loop of the fork server."""

    def __init__(
        self,
        wire: Wire,
        environ: Mapping[str, str],
        run_id_slot: linux.EnvironSlot,
        nofile: tuple[int, int],
        marker: Marker,
        delegation: cgroups.Delegation | None = None,
    ) -> None:
        self._wire = wire
        self._marker = marker
        self._run_id_slot = run_id_slot
        self._command_line = linux.CommandLine()
        self._marker = marker
        self._delegation = delegation
        self._into_cgroup = forking.IntoCgroup()
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
        self._common = child.Common(
            parent=os.getpid(),
            run_id_slot=run_id_slot.memory,
            command_line=self._command_line.memory,
            environ=environ,
            environ_table=interpreter.environ_table(),
            encoding=sys.getfilesystemencoding(),
            nofile=nofile,
            stdin=_line_buffered_streams(),
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

    def obey(self, orders: Sequence[tuple[Message, list[int]]]) -> None:
        """Carry out the orders of a datagram; the answers go out between them."""
        for count, (order, fds) in enumerate(orders, 1):
            try:
                self._obey(order, fds)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._tell({"fact": "misunderstood", "text": f"{str(order)[:80]}: {error!r}"})
            finally:
                for fd in fds:
                    os.close(fd)
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
            case {"order": "spawn" | "probe", "run_id": int(run_id)} if run_id not in self._wards:
                try:
                    self._spawn(order, fds)
                except OSError as error:
                    failed = {"fact": "spawn_failed", "run_id": run_id, "errno": error.errno, "text": error.strerror}
                    self._tell(failed)
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

    def _spawn(self, spec: Message, fds: Sequence[int]) -> None:
        """Fork a process for a run.

        Raises:
            OSError: there is no process, or it was ended again.
        """
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(fds) < 3 or max(fds) + SPARE_FDS > most:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        stdout, stderr, channel, *stack = fds
        stop_signal, stop_timeout = int(spec["stop_signal"]), spec["stop_timeout"]
        cgroup = self._make_cgroup(spec)
        inherited = child.Inherited(
            stdout,
            stderr,
            channel,
            stack[0] if stack else None,
            self._run_id_slot.fit(spec["env"]["JOBVISOR_RUN_ID"]),
            self._command_line.fit(spec["title"]),
            self._common,
            cgroup,
        )
        main = child.main if spec["order"] == "spawn" else probe
        self._marker.begin(spec["number"])
        try:
            pid = self._fork_into(cgroup, main, spec, inherited) if cgroup is not None else None
            if pid is None:
                pid = _fork(main, spec, inherited)
            pidfd = self._introduce(spec["run_id"], pid)
        except OSError:
            if cgroup is not None:
                cgroups.leave(cgroup)
            raise
        self._wards.add(
            Ward(spec["run_id"], pid, pidfd, stop_signal=stop_signal, stop_timeout=stop_timeout, cgroup=cgroup)
        )

    def _fork_into(self, cgroup: str, main: _Main, spec: Message, inherited: child.Inherited) -> int | None:
        """Fork a process that is born in its cgroup; None where it cannot be, and has to join it.

        Raises:
            OSError: there is no process to be had.
        """
        if not self._into_cgroup.can_serve:
            return None
        fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _fork(main, spec, inherited._replace(cgroup=None), self._into_cgroup.fork_into(fd))
        except OSError as error:
            if error.errno in forking.NOT_HAD:
                raise
            self._into_cgroup.give_up()
            return None
        finally:
            os.close(fd)

    def _introduce(self, run_id: int, pid: int) -> int:
        """Tell of a new process, and return its pidfd; one that cannot be told of is ended."""
        try:
            pidfd = os.pidfd_open(pid)
            self._tell({"fact": "spawned", "run_id": run_id, "pid": pid}, (pidfd,))
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        return pidfd

    def _make_cgroup(self, spec: Message) -> str | None:
        """Return the cgroup of a run, or None where there is none to have.

        Raises:
            OSError: it cannot be made, and a limit depends on it.
        """
        if self._delegation is None:
            return None
        limits = spec.get("cgroup_limits", {})
        try:
            path = cgroups.path_of(self._delegation, spec["job"], spec["run_id"])
            return cgroups.make(self._delegation, path, limits, spec.get("nice"))
        except OSError as error:
            if limits.keys() & set(self._delegation.controllers):
                raise OSError(error.errno, f"its cgroup cannot be made: {error.strerror}") from error
            self._tell({"fact": "cgroup_failed", "text": error.strerror})
            return None

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


def _fork(main: _Main, spec: Message, inherited: child.Inherited, fork: Callable[[], int] = os.fork) -> int:
    """Start a process of ``multiprocessing`` that we reap ourselves, and return its pid."""
    process = interpreter.Process(main, (spec, inherited), fork)
    process.start()
    assert process.pid is not None
    return process.pid


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
    select.select([wire], [], [])
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
        environ,
        slot,
        (settings["nofile"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        marker,
        cgroups.Delegation(*settings["cgroup"]) if settings["cgroup"] else None,
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
