"""What becomes of a slice between its pipe and those who get it: the file, journald, the console, who waits for a line.

All of it is done before the ledger lets go of the slice, and can be done again by the next process: what goes into a
file is not doubled by that, a line for the console or journald that was just leaving may be.
"""

from collections.abc import Callable, Mapping

from supervisor.logs.console import Console
from supervisor.logs.file import File
from supervisor.logs.journaled import Journaled, Outbox
from supervisor.logs.ledger import (
    LENGTH,
    MATCHED,
    OPEN,
    OPEN_AT,
    OPEN_IN,
    PIPE,
    SETTLED,
    Entry,
    Ledger,
)
from supervisor.logs.match import LineMatch
from supervisor.logs.pipe import Pipe, Run, split
from supervisor.wire import Message


class Passage:
    """The way that every slice takes."""

    def __init__(
        self, ledger: Ledger, outbox: Outbox, pipes: Mapping[int, Pipe], tell: Callable[[Message], None]
    ) -> None:
        """Take all pipes, as they come and go; ``tell`` is for what the supervisor has to hear."""
        self.ledger = ledger
        self.outbox = outbox
        self.console: Console | None = None
        self._pipes = pipes
        self._tell = tell
        self._held: tuple[Pipe, bytes, int] | None = None
        """The slice that journald has no room for, as ``_settle`` takes it."""

    def is_waiting(self, pipe: Pipe) -> bool:
        """Tell whether a pipe is not read until journald has room."""
        return self.outbox.is_blocked and isinstance(pipe.file, Journaled)

    def take(self, pipe: Pipe) -> bytes:
        """Read a slice of a pipe and do with it all that is to be done; return it, empty at the pipe's end.

        Raises:
            BlockingIOError: there is none.
        """
        entry = self.ledger.journal if isinstance(pipe.file, Journaled) else self.ledger.files
        slice_ = entry.read(pipe.fd, pipe.number, pipe.account[OPEN])
        if slice_:
            self._pass_on(pipe, entry, slice_)
        return slice_

    def resume(self) -> None:
        """Finish what the last process had in hand."""
        for entry in (self.ledger.files, self.ledger.journal):
            slice_ = entry.found()
            pipe = next((each for each in self._pipes.values() if each.number == entry.words[PIPE]), None)
            if pipe is not None and slice_:
                pipe.open_line = self.ledger.line(pipe.seat, entry.words[LENGTH])
                self._pass_on(pipe, entry, slice_, resumes=True)
            else:
                entry.clear()

    def go_on(self) -> None:
        """Let journald have what has waited for it, as far as there is room."""
        if self.outbox.is_blocked:
            self.outbox.go_on()
        if self._held is not None and not self.outbox.is_blocked:
            pipe, text, length = self._held
            self._held = None
            self._settle(pipe, self.ledger.journal, text, length)

    def end(self, pipe: Pipe) -> None:
        """Do what is to be done with the line that a pipe leaves open at its end."""
        if self.console is not None and pipe.open_line:
            self.console.show(pipe, pipe.open_line + b"\n")
        match pipe.file:
            case File() as file:
                file.end(pipe.number)
            case Journaled() as journaled:
                journaled.end(pipe.number, pipe.open_line)
        for word in range(len(pipe.account)):  # which may be another pipe's from now on
            pipe.account[word] = 0

    def _pass_on(self, pipe: Pipe, entry: Entry, slice_: bytes, *, resumes: bool = False) -> None:
        text, length = split(slice_, entry.words[LENGTH])
        lines = pipe.completed(text) if self._wants_lines(pipe) else b""
        match pipe.file:
            case File() as file if resumes:
                file.resume(pipe.number, text)
            case File() as file:
                file.write(pipe.number, text)
            case Journaled() as journaled if not entry.words[SETTLED]:
                journaled.write(pipe.number, lines)
        pipe.run.tail.add(pipe.number, text)
        if lines and not entry.words[SETTLED]:
            self._show(pipe, lines)
        if self.is_waiting(pipe):
            self._held = pipe, text, length
        else:
            self._settle(pipe, entry, text, length)

    def _wants_lines(self, pipe: Pipe) -> bool:
        return pipe.run.match is not None or self.console is not None or isinstance(pipe.file, Journaled)

    def _show(self, pipe: Pipe, lines: bytes) -> None:
        """Let whole lines be seen by who waits for them."""
        if pipe.run.match is not None and pipe.run.match.finds(lines):
            self._is_ready(pipe.run)
        if self.console is not None:
            self.console.show(pipe, lines)

    def _is_ready(self, run: Run) -> None:
        """Say that a run's output has said so; until it has been said to the supervisor, the ledger knows."""
        run.match, run.is_ready = None, True
        for pipe in self._pipes.values():
            if pipe.run is run:
                pipe.account[MATCHED] = 1
        self._tell({"fact": "matched", "run_id": run.run_id})

    def _settle(self, pipe: Pipe, entry: Entry, text: bytes, length: int) -> None:
        """Note what a slice leaves open, and let go of it. This is repeated if it is not finished; the rest is not."""
        entry.words[SETTLED] = 1
        if length:
            self._note_open_line(pipe, entry, text)
        pipe.account[OPEN] = length
        entry.clear()

    def _note_open_line(self, pipe: Pipe, entry: Entry, text: bytes) -> None:
        begin = text.rfind(b"\n") + 1
        if self._wants_lines(pipe):
            self.ledger.keep_line(pipe.seat, 0 if begin else entry.words[LENGTH], text[begin:])
        if isinstance(pipe.file, File):
            pipe.account[OPEN_IN], pipe.account[OPEN_AT] = pipe.file.end_of(pipe.number)

    def introduce(self, pipe: Pipe, ready: str | None) -> None:
        """Begin with a pipe, where the last process has left it."""
        if ready is not None:
            self._look_for(ready, pipe)
        if pipe.account[OPEN]:
            if isinstance(pipe.file, File):
                pipe.file.claim(pipe.number, pipe.account[OPEN_IN], pipe.account[OPEN_AT])
            if self._wants_lines(pipe):
                pipe.open_line = self.ledger.line(pipe.seat, pipe.account[OPEN])

    def _look_for(self, ready: str, pipe: Pipe) -> None:
        """Look for the line by which a run is ready, unless it has come: then it may not have been told of."""
        run = pipe.run
        if pipe.account[MATCHED] and not run.is_ready:
            self._is_ready(run)
        elif run.match is None and not run.is_ready:
            run.match = LineMatch(ready)
