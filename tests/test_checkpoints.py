"""What jobs keep: whole, durable, bounded, and answered in every case."""

import os
import select
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from supervisor.checkpoints import FOLDER, MOST_QUESTIONS, Checkpoints
from supervisor.core.runs import SlotId
from supervisor.job import LARGEST_CHECKPOINT

WEB = SlotId("web")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Iterator[Checkpoints]:
    made = Checkpoints(tmp_path)
    yield made
    made.close()


class Question:
    """A question as a job puts it."""

    def __init__(self, text: bytes = b"") -> None:
        self.sheet = os.memfd_create("sheet")
        os.write(self.sheet, text)
        self.reply, self.done = os.pipe()

    def fds(self) -> list[int]:
        return [os.dup(self.sheet), self.done]

    def answer(self) -> tuple[bytes, bytes]:
        poll = select.poll()
        poll.register(self.reply, select.POLLIN)
        assert poll.poll(10_000)
        how, text = os.read(self.reply, 10), os.pread(self.sheet, 2 * LARGEST_CHECKPOINT, 0)
        os.close(self.reply)
        os.close(self.sheet)
        return how, text


def ask(checkpoints: Checkpoints, kind: str, text: bytes = b"", slot: SlotId = WEB) -> tuple[bytes, bytes]:
    question = Question(text)
    checkpoints.ask(slot, kind, question.fds())
    return question.answer()


def test_what_is_kept_is_recalled_by_this_supervisor_and_the_next(checkpoints: Checkpoints, tmp_path: Path) -> None:
    assert ask(checkpoints, "recall") == (b"+", b"")
    assert ask(checkpoints, "keep", b'{"page": 1}') == (b"+", b"")
    assert ask(checkpoints, "keep", b'{"page": 2}') == (b"+", b"")
    assert ask(checkpoints, "recall") == (b"+", b'{"page": 2}')
    following = Checkpoints(tmp_path)
    assert ask(following, "recall") == (b"+", b'{"page": 2}')
    following.close()


def test_each_instance_has_its_own_and_the_lanes_of_one_share_it(checkpoints: Checkpoints) -> None:
    ask(checkpoints, "keep", b"1")
    ask(checkpoints, "keep", b"2", SlotId("web", 2))
    ask(checkpoints, "keep", b"3", SlotId("web", 1, lane=1))
    assert ask(checkpoints, "recall") == (b"+", b"3")
    assert ask(checkpoints, "recall", slot=SlotId("web", 2)) == (b"+", b"2")


def test_null_forgets(checkpoints: Checkpoints, tmp_path: Path) -> None:
    ask(checkpoints, "keep", b"1")
    assert ask(checkpoints, "keep", b"null") == (b"+", b"")
    assert ask(checkpoints, "keep", b"null") == (b"+", b"")
    assert ask(checkpoints, "recall") == (b"+", b"")
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_nobody_else_can_read_it_whatever_the_umask(checkpoints: Checkpoints, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ask(checkpoints, "keep", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / FOLDER / "web:1.json").stat().st_mode & 0o777 == 0o600


def test_more_than_a_mebibyte_is_refused_and_the_one_before_stays(checkpoints: Checkpoints) -> None:
    assert ask(checkpoints, "keep", b"1" * LARGEST_CHECKPOINT)[0] == b"+"
    how, why = ask(checkpoints, "keep", b"2" * (LARGEST_CHECKPOINT + 1))
    assert (how, why) == (b"-", b"more than 1,048,576 bytes")
    assert ask(checkpoints, "recall") == (b"+", b"1" * LARGEST_CHECKPOINT)


def test_a_disk_that_fails_is_told_to_the_job(checkpoints: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    how, why = ask(checkpoints, "keep", b"1")
    assert (how, why) == (b"-", f"cannot keep it: File exists: {tmp_path / FOLDER}".encode())


def test_a_half_written_file_of_a_crash_is_never_recalled(checkpoints: Checkpoints, tmp_path: Path) -> None:
    ask(checkpoints, "keep", b"1")
    (tmp_path / FOLDER / "web:1.json.new").write_bytes(b"half")
    assert ask(checkpoints, "recall") == (b"+", b"1")
    assert ask(checkpoints, "keep", b"2") == (b"+", b"")
    assert ask(checkpoints, "recall") == (b"+", b"2")


def test_a_flood_of_one_job_is_refused_and_leaves_the_others_alone(checkpoints: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "web:1.json")  # a disk that does not answer
    flood = [Question() for _ in range(MOST_QUESTIONS + 5)]
    for question in flood:
        checkpoints.ask(WEB, "recall", question.fds())
    refused = [question.answer() for question in flood[MOST_QUESTIONS:]]
    assert {how for how, _ in refused} == {b"-"}
    other = Question()
    checkpoints.ask(SlotId("other"), "recall", other.fds())
    for question in flood[:MOST_QUESTIONS]:
        with (tmp_path / FOLDER / "web:1.json").open("wb") as disk:
            disk.write(b"1")
        assert question.answer() == (b"+", b"1")
    assert other.answer() == (b"+", b"")


def test_a_job_that_is_gone_before_its_answer_harms_nobody(checkpoints: Checkpoints) -> None:
    gone = Question(b"1")
    os.close(gone.reply)
    checkpoints.ask(WEB, "keep", gone.fds())
    assert ask(checkpoints, "recall") == (b"+", b"1")
    os.close(gone.sheet)


def test_no_thread_to_be_had_is_told_to_the_job_and_the_next_question_is_answered(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", no_thread)
        assert ask(checkpoints, "keep", b"1") == (b"-", b"can't start new thread")
    assert ask(checkpoints, "keep", b"2") == (b"+", b"")
