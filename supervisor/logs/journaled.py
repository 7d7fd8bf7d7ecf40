"""Output that goes to systemd's journal: an entry a line, with fields that say whose it is.

A journald that has no room is waited for, by those jobs alone that write to it, but not for longer than ``PATIENCE``:
then lines are lost and counted, until it takes one again.
"""

import select
import time
from collections.abc import Callable, Mapping

from supervisor import journal
from supervisor.logs.ledger import DONE, Words

PATIENCE = 5.0
"""Seconds without room after which what waits is lost."""


class Outbox:
    """The one way to journald, shared by all jobs that write to it."""

    def __init__(self, to: journal.Journal, notes: Words) -> None:
        """Take the connection, and where to count the lines of the slice in hand that need no sending any more."""
        self.notes = notes
        self._journal = to
        self._waiting: list[tuple[Journaled, bytes, int]] = []
        self._is_dead = False
        self.give_up_at: float | None = None
        """The monotonic time at which what waits is lost; None while nothing does."""

    def fileno(self) -> int:
        """Return what to wait on while ``is_blocked``."""
        return self._journal.fileno()

    @property
    def is_blocked(self) -> bool:
        """True while entries wait: nothing more shall be read from those who write here."""
        return bool(self._waiting)

    def put(self, writer: "Journaled", entry: bytes, lines: int = 0) -> None:
        """Send an entry, or have it wait where others do or there is no room; it is so many of the lines in hand."""
        if self._waiting:
            self._waiting.append((writer, entry, lines))
        elif not self._is_sent(writer, entry, lines):
            self._waiting.append((writer, entry, lines))
            self.give_up_at = time.monotonic() + PATIENCE

    def go_on(self) -> None:
        """Send what waits, as far as there is room; lose it where there was none for too long."""
        sent = 0
        for each in self._waiting:
            if not self._is_sent(*each):
                break
            sent += 1
        del self._waiting[:sent]
        if sent and self._waiting:
            self.give_up_at = time.monotonic() + PATIENCE
        elif self._waiting and self.give_up_at is not None and self.give_up_at <= time.monotonic():
            self._is_dead = True
            for writer, _, lines in self._waiting:
                writer.lose("no room for so long")
                self.notes[DONE] += lines
            self._waiting.clear()
        if not self._waiting:
            self.give_up_at = None

    def finish(self) -> None:
        """Wait for room until nothing waits any more, sent or lost."""
        while self.give_up_at is not None:
            poll = select.poll()
            poll.register(self, select.POLLOUT)
            poll.poll(max(0.0, self.give_up_at - time.monotonic()) * 1000)
            self.go_on()

    def _is_sent(self, writer: "Journaled", entry: bytes, lines: int) -> bool:
        """Send an entry now; False where it shall wait. One that is lost counts as sent."""
        try:
            if self._journal.send(entry):
                self._is_dead = False
                writer.took_one()
            elif self._is_dead:
                writer.lose("no room")
            else:
                return False
        except OSError as error:
            writer.lose(error.strerror or str(error))
        self.notes[DONE] += lines
        return True


class Journaled:
    """Takes the place of a file for the output of a job: any number of pipes write here."""

    def __init__(self, path: str, label: str, outbox: Outbox, report: Callable[["Journaled"], None]) -> None:
        """Take a path that stands for the journal; ``report`` is called whenever ``error`` or ``lost`` has changed."""
        self.path = path
        self.label = label
        self.pipes = 0
        self.error: str | None = None
        self.lost = 0
        self.since = 0.0
        self._outbox = outbox
        self._report = report
        self._fields: dict[int, tuple[bytes, int]] = {}

    def introduce(self, writer: int, fields: Mapping[str, str], priority: int) -> None:
        """Say what stands in each entry of a pipe; ``priority`` where the line itself does not say it."""
        self._fields[writer] = (journal.encoded({"SYSLOG_IDENTIFIER": self.label, **fields}), priority)

    def write(self, writer: int, lines: bytes) -> None:
        """Send whole lines, without those that another process has sent of the same slice."""
        for line in lines.split(b"\n")[self._outbox.notes[DONE] : -1]:
            self._put(writer, line, 1)

    def end(self, writer: int, rest: bytes) -> None:
        """Send the line that this pipe has left open, if it has."""
        if rest:
            self._put(writer, rest)
        self._fields.pop(writer, None)

    def say(self, writer: int, lines: bytes) -> None:
        """Send the supervisor's own lines beside those of a pipe."""
        for line in lines.splitlines():
            self._put(writer, line)

    def reopen(self) -> None:
        """Do nothing: nobody moves the journal away."""

    def close(self) -> None:
        """Do nothing: the connection is shared."""

    def _put(self, writer: int, line: bytes, counts: int = 0) -> None:
        fields, priority = self._fields[writer]
        if len(line) > 2 and line[:1] == b"<" and line[2:3] == b">" and b"0" <= line[1:2] <= b"7":  # sd-daemon(3)
            priority, line = int(line[1:2]), line[3:]
        entry = b"%bPRIORITY=%d\n%b" % (fields, priority, journal.field("MESSAGE", line))
        self._outbox.put(self, entry, counts)

    def lose(self, why: str) -> None:
        """Count a line that was not taken."""
        if self.error is None:
            self.since = time.time()
        self.error = f"journal: {why}"
        self.lost += 1
        self._report(self)

    def took_one(self) -> None:
        """Take note that journald takes lines again, and tell there how many it has not."""
        if not self.lost:
            return
        note = f"[jobvisor] {self.lost} lines lost here: {self.error}"
        self.error, self.lost = None, 0
        self._report(self)
        fields = {"SYSLOG_IDENTIFIER": self.label, "PRIORITY": str(journal.WARNING), "MESSAGE": note}
        self._outbox.put(self, journal.encoded(fields))
