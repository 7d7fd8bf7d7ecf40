"""The log process: owns every job's output pipe and the files behind them. One thread, no asyncio, no polling.

It ends after its supervisor, once every pipe has been read to its end, so that no line is lost with the supervisor
either. PR_SET_PDEATHSIG is SIGCONT: even a stopped log process wakes up and sees that end. A pipe that an escaped
process keeps open holds it up for a minute of silence at most.
"""

import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.logs.console import Console
from supervisor.logs.files import LogFile
from supervisor.logs.stream import Lines, Tail, stamp, stamped
from supervisor.wire import Message, Wire

SLICE = 256 * 1024
"""Bytes read of one pipe before the next has its turn."""
MOST_TAILS = 1000
LINGER = 60.0
"""Seconds of silence after which a log process without a supervisor gives up pipes that nobody closes."""

_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Pipe:
    """One read end, and where its lines go."""

    fd: int
    run_id: int
    stream: str
    file: LogFile
    timestamps: bool
    label: str
    tail: Tail
    lines: Lines = field(default_factory=Lines)


class LogProcess:
    """The loop of the log process."""

    def __init__(self, wire: Wire, console: Console | None) -> None:
        self._wire = wire
        self._console = console
        self._epoll = select.epoll()
        self._epoll.register(wire, select.EPOLLIN)
        self._pipes: dict[int, Pipe] = {}
        self._files: dict[str, LogFile] = {}
        self._tails: dict[int, Tail] = {}
        self._asked: dict[int, list[int]] = {}
        self._told: dict[str, tuple[int, str | None]] = {}
        self._is_orphan = False

    def serve(self) -> None:
        """Return when the supervisor is gone and every pipe has been read to its end."""
        while self._pipes or not self._is_orphan:
            ready = self._epoll.poll(LINGER if self._is_orphan else None)
            if not ready and self._is_orphan:
                break
            for fd, _ in ready:
                if not self._is_orphan and fd == self._wire.fileno():
                    self._converse()
            for fd, _ in ready:
                if fd in self._pipes:
                    self._drain(self._pipes[fd])
            self._report_trouble()
            self._flush()
        for pipe in list(self._pipes.values()):
            self._end(pipe)

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _converse(self) -> None:
        try:
            while received := self._wire.receive():
                for message, fds in received:
                    self._obey(message, fds)
        except EOFError:
            self._orphaned()

    def _orphaned(self) -> None:
        if not self._is_orphan:
            self._is_orphan = True
            self._epoll.unregister(self._wire)

    def _flush(self) -> None:
        if self._is_orphan:
            return
        try:
            self._wire.flush()
        except ConnectionError:
            self._orphaned()
            return
        self._epoll.modify(self._wire, select.EPOLLIN | (select.EPOLLOUT if self._wire.has_waiting else 0))

    def _obey(self, message: Message, fds: list[int]) -> None:
        match message:
            case {"order": "open"}:
                self._open(message, fds)
            case {"order": "tail", "run_id": int(run_id), "ask": int(ask)}:
                self._asked.setdefault(run_id, []).append(ask)
                if not any(pipe.run_id == run_id for pipe in self._pipes.values()) or message.get("now"):
                    self._answer(run_id)
            case {"order": "reopen"}:
                for file in self._files.values():
                    file.close()

    def _open(self, message: Message, fds: list[int]) -> None:
        run_id = message["run_id"]
        tail = self._tails[run_id] = Tail()
        while len(self._tails) > MOST_TAILS:
            self._forget_oldest_tail()
        for fd, stream, path in zip(fds, message["streams"], message["paths"], strict=True):
            os.set_blocking(fd, False)
            self._pipes[fd] = Pipe(
                fd=fd,
                run_id=run_id,
                stream=stream,
                file=self._file(path, message["max_size"], message["keep"]),
                timestamps=message["timestamps"],
                label=message["label"],
                tail=tail,
            )
            self._epoll.register(fd, select.EPOLLIN)

    def _forget_oldest_tail(self) -> None:
        open_runs = {pipe.run_id for pipe in self._pipes.values()}
        oldest = next((run_id for run_id in self._tails if run_id not in open_runs), next(iter(self._tails)))
        del self._tails[oldest]

    def _file(self, path: str, max_size: int, keep: int) -> LogFile:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = LogFile(Path(path), max_size=max_size, keep=keep)
        file.max_size, file.keep = max_size, keep
        return file

    def _answer(self, run_id: int) -> None:
        tail = self._tails.get(run_id)
        for ask in self._asked.pop(run_id, ()):
            self._wire.put({"fact": "tail", "ask": ask, "lines": tail.lines() if tail is not None else []})

    # -- output --------------------------------------------------------------------------------------------------------

    def _drain(self, pipe: Pipe) -> None:
        """Read one slice of a pipe and write it on at once: nothing waits in this process but an unfinished line."""
        try:
            chunk = os.read(pipe.fd, SLICE)
        except BlockingIOError:
            return
        if chunk:
            self._write(pipe, pipe.lines.cut(chunk))
        else:
            self._end(pipe)

    def _end(self, pipe: Pipe) -> None:
        self._write(pipe, pipe.lines.rest())
        self._epoll.unregister(pipe.fd)
        os.close(pipe.fd)
        del self._pipes[pipe.fd]
        if not self._is_orphan:
            self._wire.put({"fact": "ended", "run_id": pipe.run_id, "stream": pipe.stream})
            if not any(other.run_id == pipe.run_id for other in self._pipes.values()):
                self._answer(pipe.run_id)
        if not any(other.file is pipe.file for other in self._pipes.values()):
            pipe.file.close()

    def _write(self, pipe: Pipe, lines: bytes) -> None:
        if not lines:
            return
        pipe.file.write(stamped(lines, stamp(time.time())) if pipe.timestamps else lines)
        pipe.tail.add(lines)
        if self._console is not None:
            self._console.write(stamped(lines, self._console.prefix(pipe.label)))

    def _report_trouble(self) -> None:
        """Tell the supervisor of each file whose trouble has come, changed or gone."""
        for path, file in self._files.items():
            state = (file.dropped, file.trouble)
            if not self._is_orphan and self._told.get(path, (0, None)) != state:
                self._told[path] = state
                self._wire.put({"fact": "trouble", "path": path, "dropped": file.dropped, "why": file.trouble})


def main(argv: list[str], make_console: Callable[[bool], Console]) -> None:
    """Run as ``python -m supervisor.logs.process FD [console|colour]``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGCONT), 0, 0, 0)
    sock = socket.socket(fileno=int(argv[1]))
    os.set_inheritable(sock.fileno(), False)
    console = make_console(argv[2] == "colour") if len(argv) > 2 else None
    LogProcess(Wire(sock), console).serve()


if __name__ == "__main__":
    main(sys.argv, lambda colour: Console(colour=colour))
