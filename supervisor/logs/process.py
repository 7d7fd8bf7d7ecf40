"""The log process: owns the read end of every job's output, its files and their rotation. One thread, no asyncio.

It is exec'd by the supervisor, has a session of its own, and ignores INT, TERM, HUP and QUIT: it ends when its socket
does, after every pipe has been drained to its end. PR_SET_PDEATHSIG is SIGCONT, so that even a stopped log process
wakes up and sees that end. A pipe that is still open when the fork server must long have ended the whole job
(``stop_timeout`` and a margin after the supervisor's death) is held by a process that has escaped; it is given up as
soon as it is empty. A job with ``stop_timeout = "none"`` has no such bound.

Each pipe in turn has a slice read, and a slice is written before the next is read: a job that floods delays a quiet
one by a slice, and when this process is killed, one slice is in hand, which the next process finds in the ledger.

It stays small: dataclasses, pathlib, asyncio and loguru would each be a tenth of its memory or more.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

from supervisor import linux, memory
from supervisor.journal import Journal
from supervisor.logs.console import Console
from supervisor.logs.file import NOBODY, File
from supervisor.logs.journaled import Journaled, Outbox
from supervisor.logs.ledger import SLICE, Ledger
from supervisor.logs.passage import Passage
from supervisor.logs.pipe import Pipe, Run
from supervisor.wire import Message, Wire

REPORT_EVERY = 1.0
"""Seconds between two reports of the lines that one sick disk has cost so far."""
MOST_ENDED = 1000
"""Slots of whose last ended run the last lines are kept."""
WIDE = 256 * 1024
"""Bytes of a pipe that was found full once: fewer turns for a job that floods."""


class LogServer:
    """The loop of the log process. It sleeps until a pipe or the supervisor has something."""

    def __init__(self, wire: Wire, ledger: Ledger) -> None:
        self._wire = wire
        self._has_begun = False
        """Every pipe that the last process had is here, and what that one had in hand is written."""
        self._epoll = select.epoll()
        self._epoll.register(wire, select.EPOLLIN)
        self._pipes: dict[int, Pipe] = {}
        """By descriptor."""
        self._runs: dict[int, Run] = {}
        self._last_ended: dict[str, int] = {}
        """The last ended run of each slot, in their order; its last lines are kept until the next one has ended."""
        self._files: dict[str, File | Journaled] = {}
        self._reports: dict[str, File | Journaled] = {}
        """Files of whose trouble the supervisor has not heard the newest."""
        self._report_at = 0.0
        self._is_orphan = False
        self._is_finishing = False
        self._is_wire_blocked = False
        self._is_console_blocked = False
        self._outbox = Outbox(Journal(), ledger.journal.words)
        self._passage = Passage(ledger, self._outbox, self._pipes, self._tell)
        self._is_outbox_blocked = False

    def serve(self, orders: list[tuple[Message, list[int]]]) -> None:
        """Obey these first; return when the supervisor is gone or wants no more, and every pipe has ended."""
        for order, fds in orders:
            self._obey(order, fds)
        self._tidy_up()
        while self._pipes or not self._is_ending:
            for fd, _ in self._epoll.poll(self._patience()):
                pipe = self._pipes.get(fd)
                if pipe is not None:
                    self._drain(pipe)
                elif fd == self._wire.fileno():
                    self._converse()
                elif self._passage.console is not None and fd == self._passage.console.fd:
                    self._passage.console.go_on()
            self._give_up_overdue()
            self._tidy_up()
        self._outbox.finish()

    def _tidy_up(self) -> None:
        """Do what every turn of the loop ends with."""
        self._report()
        self._flush()
        self._watch_console()
        self._watch_outbox()

    def _patience(self) -> float | None:
        waits = [end_by for _, end_by in self._bounded()]
        if self._reports and not self._is_orphan:
            waits.append(self._report_at)
        if self._outbox.give_up_at is not None:
            waits.append(self._outbox.give_up_at)
        return max(0.0, min(waits) - time.monotonic()) if waits else None

    # -- pipes ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Finish what the last process had in hand, then read every pipe."""
        self._has_begun = True
        self._passage.resume()
        for fd in self._pipes:
            self._epoll.register(fd, select.EPOLLIN)

    def _drain(self, pipe: Pipe) -> bool:
        """Take one slice out of a pipe; False where it is empty and may yet be written to."""
        if self._passage.is_waiting(pipe):
            return True
        try:
            slice_ = self._passage.take(pipe)
        except BlockingIOError:
            return False
        if not slice_:
            self._end(pipe)
            return True
        if len(slice_) == SLICE and not pipe.is_wide:
            pipe.is_wide = True
            with suppress(OSError):  # over the user's limit of pipe pages: it stays as it is
                fcntl.fcntl(pipe.fd, fcntl.F_SETPIPE_SZ, WIDE)
        return True

    def _end(self, pipe: Pipe) -> None:
        """Let go of a pipe whose last writer has closed it."""
        del self._pipes[pipe.fd]
        with suppress(FileNotFoundError):  # it was not read while journald had no room
            self._epoll.unregister(pipe.fd)  # or the supervisor's copy would go on to wake us
        os.close(pipe.fd)
        self._passage.end(pipe)
        pipe.file.pipes -= 1
        if not pipe.file.pipes:
            pipe.file.close()
            if not pipe.file.error:
                del self._files[pipe.file.path]
        run = pipe.run
        run.pipes -= 1
        if not run.pipes:
            before = self._last_ended.pop(run.slot, None)
            if before != run.run_id:  # one of its pipes may come when another has ended
                self._forget(before)
            self._last_ended[run.slot] = run.run_id
            run.tail.trim()
            if len(self._last_ended) > MOST_ENDED:  # of jobs that are no more, as far as anybody knows
                self._forget(self._last_ended.pop(next(iter(self._last_ended))))
        self._tell({"fact": "ended", "run_id": run.run_id, "pipe": pipe.number})

    def _forget(self, run_id: int | None) -> None:
        run = self._runs.get(run_id) if run_id is not None else None
        if run is not None and not run.pipes:
            del self._runs[run.run_id]

    @property
    def _is_ending(self) -> bool:
        return self._is_orphan or self._is_finishing

    def _bounded(self) -> list[tuple[Pipe, float]]:
        """Return the pipes that end at some time if they are empty then, and when."""
        if not self._is_ending:
            return []
        return [
            (pipe, pipe.end_by)
            for pipe in self._pipes.values()
            if pipe.end_by is not None and not self._passage.is_waiting(pipe)
        ]

    def _give_up_overdue(self) -> None:
        now = time.monotonic()
        for pipe, end_by in self._bounded():
            if end_by <= now and not self._drain(pipe):
                self._end(pipe)

    def _set_bounds(self) -> None:
        now = time.monotonic()
        for pipe in self._pipes.values():
            if self._is_finishing:
                pipe.end_by = now
            elif pipe.grace is not None:
                pipe.end_by = now + pipe.grace

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _converse(self) -> None:
        try:
            self._take_orders()
        except EOFError:
            with suppress(EOFError):  # a reset is told before the orders that are still unread
                self._take_orders()
            self._orphaned()

    def _take_orders(self) -> None:
        while received := self._wire.receive():
            for order, fds in received:
                self._obey(order, fds)

    def _obey(self, order: Message, fds: list[int]) -> None:
        match order:
            case {"order": "open"}:
                if not fds:  # the next one has what is left to the supervisor
                    sys.exit("log: no descriptor left for the output of a job; the log process ends")
                self._take_on(order, fds.pop())
            case {"order": "begin"}:
                self._begin()
            case {"order": "tail", "ask": ask, "run_id": run_id}:
                run = self._runs.get(run_id)
                self._tell({"fact": "tail", "ask": ask, "lines": run.tail.lines() if run is not None else []})
            case {"order": "ping"}:
                self._tell({"fact": "pong"})
            case {"order": "write", "run_id": run_id, "text": text}:
                self._write(run_id, text)
            case {"order": "reopen"}:
                for file in self._files.values():
                    file.reopen()
            case {"order": "console", "colour": colour}:
                self._passage.console = Console(1, colour=colour)
            case {"order": "finish"}:
                self._is_finishing = True
                self._set_bounds()

    def _write(self, run_id: int, text: str) -> None:
        """Put the supervisor's own lines into a run's file; they are not among its last lines, being no output."""
        pipe = next((pipe for pipe in self._pipes.values() if pipe.run.run_id == run_id), None)
        lines = text.encode(errors="replace").rstrip(b"\n") + b"\n"
        match pipe and pipe.file:
            case File() as file:
                file.write(NOBODY, lines)
            case Journaled() as journaled:
                assert pipe is not None
                journaled.say(pipe.number, lines)

    def _take_on(self, order: Message, fd: int) -> None:
        """Begin to read a pipe."""
        run = self._runs.setdefault(order["run_id"], Run(order["run_id"], order["slot"]))
        run.pipes += 1
        file = self._files.get(order["path"])
        if file is None:
            file = self._files[order["path"]] = self._destination(order)
        file.pipes += 1
        match file:
            case File():
                file.max_size, file.keep, file.timestamps = order["max_size"], order["keep"], order["timestamps"]
            case Journaled():
                file.introduce(order["pipe"], order["fields"], order["priority"])
        if self._passage.console is not None:
            self._passage.console.widen(order["label"])
        pipe = self._pipes[fd] = Pipe(
            order["pipe"],
            fd,
            run,
            file,
            colour=order["colour"],
            grace=order["grace"],
            seat=order["account"],
            account=self._passage.ledger.account(order["account"]),
        )
        self._passage.introduce(pipe, order["ready"])
        if self._has_begun and not (self._is_outbox_blocked and isinstance(file, Journaled)):
            self._epoll.register(fd, select.EPOLLIN)

    def _destination(self, order: Message) -> File | Journaled:
        if "fields" in order:
            return Journaled(order["path"], order["label"], self._outbox, self._note_trouble)
        return File(order["path"], order["label"], self._note_trouble, self._passage.ledger.files.words)

    def _note_trouble(self, file: File | Journaled) -> None:
        self._reports[file.path] = file

    def _report(self) -> None:
        """Tell what sick disks have cost, now and then: at once when it begins or ends, else the count each second."""
        if not self._reports:
            return
        now = time.monotonic()
        if now < self._report_at and all(file.error for file in self._reports.values()):
            return
        self._report_at = now + REPORT_EVERY
        for file in self._reports.values():
            self._tell(
                {
                    "fact": "trouble",
                    "path": file.path,
                    "label": file.label,
                    "error": file.error,
                    "lines": file.lost,
                    "since": file.since,
                }
            )
        self._reports.clear()

    def _tell(self, message: Message) -> None:
        if not self._is_orphan:
            self._wire.put(message)

    def _flush(self) -> None:
        if self._is_orphan or not (self._wire.has_waiting or self._is_wire_blocked):
            return
        with suppress(ConnectionError):  # the supervisor is gone; its last orders are read before its end is seen
            self._wire.flush()
        if self._wire.has_waiting != self._is_wire_blocked:
            self._is_wire_blocked = self._wire.has_waiting
            self._epoll.modify(self._wire, select.EPOLLIN | (select.EPOLLOUT if self._is_wire_blocked else 0))

    def _orphaned(self) -> None:
        """Go on without a supervisor until every pipe has ended."""
        self._is_orphan = True
        if not self._has_begun:
            self._begin()
        self._epoll.unregister(self._wire)
        self._wire.close()
        self._set_bounds()

    # -- the console ---------------------------------------------------------------------------------------------------

    def _watch_console(self) -> None:
        """Wait for room on the console while the rest of a line waits for it."""
        console = self._passage.console
        if console is None or console.is_blocked == self._is_console_blocked:
            return
        self._is_console_blocked = console.is_blocked
        if console.is_blocked:
            self._epoll.register(console.fd, select.EPOLLOUT)
        else:
            self._epoll.unregister(console.fd)

    # -- the journal ---------------------------------------------------------------------------------------------------

    def _watch_outbox(self) -> None:
        """While journald has no room wait for it, and read nothing that is meant for it: those jobs wait, no others."""
        self._passage.go_on()
        if self._outbox.is_blocked:
            with suppress(FileExistsError):  # each time: a connection that was made anew may have the same number
                self._epoll.register(self._outbox, select.EPOLLOUT)
        if self._outbox.is_blocked == self._is_outbox_blocked:
            return
        self._is_outbox_blocked = self._outbox.is_blocked
        if not self._is_outbox_blocked:
            with suppress(OSError, ValueError):  # the connection was lost, and made anew or not
                self._epoll.unregister(self._outbox)
        for pipe in self._pipes.values():
            if not isinstance(pipe.file, Journaled):
                continue
            if self._is_outbox_blocked:
                self._epoll.unregister(pipe.fd)
            else:
                self._epoll.register(pipe.fd, select.EPOLLIN)


def main() -> None:
    """Serve the supervisor whose socket has the descriptor that the first argument says."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    linux.die_with_parent(signal.SIGCONT)  # which does nothing but end a stop
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(sock.fileno(), False)
    os.umask(0o077)
    os.chdir("/")
    linux.allow_most_files()
    memory.settle()
    _serve(Wire(sock))


def _serve(wire: Wire) -> None:
    wire.wait()
    try:
        (_, fds), *orders = wire.receive()
    except EOFError:
        return  # the supervisor is gone, and has had no job
    if not fds:
        sys.exit("log: no descriptor left for the ledger; the log process ends")
    LogServer(wire, Ledger(fds[0])).serve(orders)


if __name__ == "__main__":
    main()
