import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from journald import journald

from supervisor.journal import Journal, encoded


def test_sends_fields_of_one_line_and_of_several(tmp_path: Path) -> None:
    with journald(tmp_path) as there, closing(Journal(there.path)) as journal:
        assert journal.send(encoded({"MESSAGE": "a=b\nc\n", "PRIORITY": "6", "EMPTY": ""}))
        assert there.read() == [{"MESSAGE": "a=b\nc\n", "PRIORITY": "6", "EMPTY": ""}]


def test_an_entry_that_is_too_large_for_a_datagram_comes_whole(tmp_path: Path) -> None:
    with journald(tmp_path) as there, closing(Journal(there.path)) as journal:
        assert journal.send(encoded({"MESSAGE": "x" * 3_000_000}))
        assert there.read() == [{"MESSAGE": "x" * 3_000_000}]


def test_a_journald_that_does_not_read_is_not_waited_for_and_its_room_is_told(tmp_path: Path) -> None:
    with journald(tmp_path) as there, closing(Journal(there.path)) as journal:
        sent = 0
        while journal.send(encoded({"MESSAGE": str(sent)})):
            sent += 1
        poll = select.poll()
        poll.register(journal, select.POLLOUT)
        assert poll.poll(0) == []
        assert [entry["MESSAGE"] for entry in there.read()] == [str(number) for number in range(sent)]
        assert poll.poll(1000)
        assert journal.send(encoded({"MESSAGE": "more"}))


def test_a_journald_that_is_gone_is_an_error_and_one_that_is_back_is_found(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.sock"))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            journal.send(b"MESSAGE=lost\n")
        with journald(tmp_path) as there:
            assert journal.send(b"MESSAGE=back\n")
            assert there.read() == [{"MESSAGE": "back"}]
        with pytest.raises(ConnectionError):
            journal.send(b"MESSAGE=lost\n")


OWN_LOG = """
import sys
from contextlib import closing
from loguru import logger
from supervisor.journal import Journal
from supervisor.ownlog import Entries, Stderr
sink = Entries(Stderr(), Journal(sys.argv[1]))
logger.remove()
logger.add(sink, level="DEBUG", format="{message}")
logger.debug("one")
logger.bind(job="web", run_id=7).warning("two")
try:
    raise ValueError("three")
except ValueError:
    logger.exception("bad")
print(sink.lost)
"""


def test_the_supervisors_own_lines_are_entries_with_what_is_bound_to_them(tmp_path: Path) -> None:
    with journald(tmp_path) as there:
        subprocess.run([sys.executable, "-c", OWN_LOG, there.path], check=True, capture_output=True)
        one, two, three = there.read()
        assert one == {"SYSLOG_IDENTIFIER": "jobvisor", "MESSAGE": "one", "PRIORITY": "7"}
        assert two == {
            "SYSLOG_IDENTIFIER": "jobvisor",
            "MESSAGE": "two",
            "PRIORITY": "4",
            "JOBVISOR_JOB": "web",
            "JOBVISOR_RUN_ID": "7",
        }
        assert three["PRIORITY"] == "3"
        assert three["MESSAGE"].endswith("ValueError: three")


def test_they_go_to_stderr_where_no_journald_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWN_LOG, str(tmp_path / "none")], check=True, capture_output=True, text=True
    )
    assert "one\ntwo\nbad\n" in done.stderr
    assert done.stdout == "0\n"
