"""What jobs keep from run to run: a file of JSON for each instance, whole and on disk before the job goes on.

A thread of its own does all of it, so a slow disk holds up the job that asks and nobody else. A question comes with a
sheet (a memfd, in which the data stands and the answer is written) and a pipe that tells of the answer by one byte.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import NamedTuple

from supervisor.core.runs import SlotId
from supervisor.diskhealth import DiskHealth
from supervisor.job import LARGEST_CHECKPOINT

FOLDER = "checkpoints"
"""Within state_dir."""
MOST_QUESTIONS = 32
"""Questions of one slot that may wait at the same time."""

KEPT, REFUSED = b"+", b"-"


class Question(NamedTuple):
    """What a job asks: ``keep`` what stands on the sheet, or ``recall`` what was kept."""

    slot: SlotId
    kind: str
    sheet: int
    done: int


class Checkpoints:
    """The checkpoints of one state_dir."""

    def __init__(self, state_dir: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Take where they lie; ``warn`` is called in a thread, when the disk begins to fail and when that is over."""
        self._folder = state_dir / FOLDER
        self._disk = DiskHealth("checkpoint", warn)
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._lock = Condition()
        self._waiting: Counter[SlotId] = Counter()
        """Under the lock."""

    @property
    def trouble(self) -> str | None:
        """Why checkpoints are not kept just now, for ``status``; None while they are, as far as is known."""
        return self._disk.trouble

    def ask(self, slot: SlotId, kind: str, fds: list[int]) -> None:
        """Take a question's two descriptors, and answer it; never waits."""
        done, sheet = fds.pop(), fds.pop()
        os.set_blocking(done, False)  # a job that leaves it full waits in vain, and holds nobody up
        question = Question(slot, kind, sheet, done)
        with self._lock:
            if self._waiting[slot] >= MOST_QUESTIONS:
                _answer(question, REFUSED, f"{MOST_QUESTIONS} other checkpoints of this job wait for the disk".encode())
                return
        if self._thread is None and (why := self._begin()) is not None:
            _answer(question, REFUSED, why.encode())
            return
        with self._lock:
            self._waiting[slot] += 1
        self._questions.put(question)

    def _begin(self) -> str | None:
        """Start the thread, or return why there is none."""
        thread = Thread(target=self._serve, name="checkpoints", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            return str(error)
        self._thread = thread
        return None

    def close(self, timeout: float = 5.0) -> None:
        """Answer what was asked, if the disk does within ``timeout`` seconds, and end the thread."""
        if self._thread is not None:
            self._questions.put(None)
            self._thread.join(timeout)

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until all that was asked is answered; False where the disk does not answer in time."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._waiting, timeout)

    def _serve(self) -> None:
        while (question := self._questions.get()) is not None:
            self._disk.asked()
            failure: str | None = None
            try:
                answer = KEPT, self._answer_to(question)
            except ValueError as error:
                answer = REFUSED, str(error).encode()
            except OSError as error:
                why = f"cannot {question.kind} it: {error.strerror}: {error.filename}"
                answer = REFUSED, why.encode(errors="replace")
                failure = f"{question.slot.job}: {why}"
            self._disk.answered(wrote=question.kind == "keep" and answer[0] == KEPT, failure=failure)
            _answer(question, *answer)
            with self._lock:
                self._waiting -= Counter((question.slot,))
                self._lock.notify_all()

    def _answer_to(self, question: Question) -> bytes:
        path = self._folder / f"{question.slot.job}:{question.slot.instance}.json"
        if question.kind == "recall":
            with suppress(FileNotFoundError):
                return path.read_bytes()
            return b""
        data = os.pread(question.sheet, LARGEST_CHECKPOINT + 1, 0)
        if len(data) > LARGEST_CHECKPOINT:
            raise ValueError(f"more than {LARGEST_CHECKPOINT:,} bytes")
        if data == b"null":
            path.unlink(missing_ok=True)
        else:
            self._replace(path, data)
        return b""

    def _replace(self, path: Path, data: bytes) -> None:
        """Put the data in place of the file: after a crash at any instant, of the machine too, one of both is there."""
        self._folder.parent.mkdir(mode=0o700, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        new.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _answer(question: Question, how: bytes, text: bytes) -> None:
    """Write the answer, then tell of it; a job that is gone by now is not told."""
    with suppress(OSError):
        os.truncate(question.sheet, 0)
        os.pwrite(question.sheet, text, 0)
        os.write(question.done, how)
    os.close(question.sheet)
    os.close(question.done)
