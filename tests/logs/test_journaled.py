"""Output on its way into the journal, and what becomes of it where journald has no room or is gone."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from journald import Journald, journald

from supervisor.journal import INFO, WARNING, Journal
from supervisor.logs import journaled
from supervisor.logs.journaled import Journaled, Outbox
from supervisor.logs.ledger import DONE

FIELDS = {"JOBVISOR_JOB": "web", "JOBVISOR_RUN_ID": "7"}


class Reports(list[tuple[str | None, int]]):
    def __call__(self, writer: Journaled) -> None:
        self.append((writer.error, writer.lost))


@contextmanager
def writer_to(path: str, reports: Reports | None = None) -> Iterator[tuple[Journaled, Outbox]]:
    with closing(Journal(path)) as to:
        outbox = Outbox(to, [0] * (DONE + 1))
        writer = Journaled("journal:web", "web", outbox, reports if reports is not None else Reports())
        writer.introduce(1, FIELDS, INFO)
        writer.introduce(2, FIELDS, WARNING)
        yield writer, outbox


def write(writer: Journaled, number: int, lines: bytes) -> None:
    """Send the lines of a slice of their own."""
    writer._outbox.notes[DONE] = 0
    writer.write(number, lines)


def messages(there: Journald) -> list[tuple[str, str]]:
    return [(entry["MESSAGE"], entry["PRIORITY"]) for entry in there.read()]


def test_each_line_is_an_entry_that_says_whose_it_is(tmp_path: Path) -> None:
    with journald(tmp_path) as there, writer_to(there.path) as (writer, _):
        write(writer, 1, b"one\n")
        write(writer, 2, b"err\n")
        write(writer, 1, b"two\n")
        writer.end(1, b"three")
        assert messages(there) == [("one", "6"), ("err", "4"), ("two", "6"), ("three", "6")]
        own = {"SYSLOG_IDENTIFIER": "web", "MESSAGE": "one", "PRIORITY": "6"}
        assert there.entries[0] == FIELDS | own


def test_what_the_supervisor_says_of_a_run_has_its_fields(tmp_path: Path) -> None:
    with journald(tmp_path) as there, writer_to(there.path) as (writer, _):
        writer.say(1, b"stack\nof a thread\n")
        write(writer, 1, b"begun\n")
        assert [message for message, _ in messages(there)] == ["stack", "of a thread", "begun"]
        assert there.entries[0]["JOBVISOR_RUN_ID"] == "7"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"<3>bad", ("bad", "3")),
        (b"<0>", ("", "0")),
        (b"<8>no level", ("<8>no level", "6")),
        (b"<3 no", ("<3 no", "6")),
        (b"<33>no", ("<33>no", "6")),
        (b"", ("", "6")),
        (b"\xff", ("\ufffd", "6")),
    ],
)
def test_a_line_may_say_its_own_priority(line: bytes, message: tuple[str, str], tmp_path: Path) -> None:
    with journald(tmp_path) as there, writer_to(there.path) as (writer, _):
        write(writer, 1, line + b"\n")
        assert messages(there) == [message]


def test_a_journald_without_room_gets_everything_in_order_when_it_has_some(tmp_path: Path) -> None:
    with journald(tmp_path) as there, writer_to(there.path) as (writer, outbox):
        for number in range(2000):
            write(writer, 1, b"%d\n" % number)
        assert outbox.is_blocked
        while outbox.is_blocked:
            there.read()
            outbox.go_on()
        assert [message for message, _ in messages(there)] == [str(number) for number in range(2000)]
        assert outbox.give_up_at is None
        assert writer.lost == 0


def test_what_waits_too_long_is_lost_counted_and_told_when_journald_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaled, "PATIENCE", 0.05)
    reports = Reports()
    with journald(tmp_path) as there, writer_to(there.path, reports) as (writer, outbox):
        while not outbox.is_blocked:
            write(writer, 1, b"taken\n")
        write(writer, 1, b"waits\n")
        began = time.monotonic()
        outbox.finish()
        assert time.monotonic() - began < 5
        assert (writer.error, writer.lost) == ("journal: no room for so long", 2)
        write(writer, 1, b"lost at once\n")
        assert not outbox.is_blocked
        there.read()
        write(writer, 1, b"taken again\n")
        assert messages(there)[-2:] == [
            ("taken again", "6"),
            ("[jobvisor] 3 lines lost here: journal: no room", "4"),
        ]
        assert reports[-1] == (None, 0)


def test_lines_that_nobody_takes_are_counted_and_hold_up_nothing(tmp_path: Path) -> None:
    reports = Reports()
    with writer_to(str(tmp_path / "journal.sock"), reports) as (writer, outbox):
        write(writer, 1, b"one\ntwo\n")
        assert reports[-1] == ("journal: No such file or directory", 2)
        assert not outbox.is_blocked
        with journald(tmp_path) as there:
            write(writer, 1, b"three\n")
            assert [message for message, _ in messages(there)] == [
                "three",
                "[jobvisor] 2 lines lost here: journal: No such file or directory",
            ]


def test_lines_that_another_process_has_sent_of_the_same_slice_are_not_sent_again(tmp_path: Path) -> None:
    with journald(tmp_path) as there, writer_to(there.path) as (writer, outbox):
        outbox.notes[DONE] = 2
        writer.write(1, b"one\ntwo\nthree\nfour\n")
        assert outbox.notes[DONE] == 4
        assert [message for message, _ in messages(there)] == ["three", "four"]
