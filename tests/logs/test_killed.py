"""A log process that is killed between any two of its steps: the next one loses no line, doubles none and tears none.

What it does beside system calls is store words in the ledger, so a kill before each store is a kill at every point of
it. A write that the kill has cut short is a file that has less of a piece than it was to get.
"""

import itertools
import mmap
import os
import select
import signal
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journald import Journald, journald
from stage import numbered

from supervisor.journal import Journal
from supervisor.logs import ledger
from supervisor.logs.journaled import Outbox
from supervisor.logs.ledger import BEFORE, DONE, JOINT, PIPE, SLICE, UNTIL, Ledger, Words
from supervisor.logs.process import LogServer
from supervisor.wire import Wire, pair

NEVER = 10**9
WRITTEN, READY = range(2)


class Mortal(list[int]):
    """Words of a ledger whose writer is killed when it has stored so many."""

    def __init__(self, words: Words, left: list[int]) -> None:
        super().__init__([0] * len(words))
        self._words = words
        self._left = left

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        return self._words[index]

    def __setitem__(self, index: int, value: int) -> None:  # type: ignore[override]
        if not self._left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left[0] -= 1
        self._words[index] = value


class MortalLedger(Ledger):
    """A ledger of such words."""

    def __init__(self, fd: int, stores: int) -> None:
        super().__init__(fd)
        self._left = [stores]
        for entry in (self.files, self.journal):
            entry.words = Mortal(entry.words, self._left)

    def account(self, number: int) -> Words:
        return Mortal(super().account(number), self._left)


class Scene:
    """Two pipes of one run, and one log process after another, each with a life of so many stores."""

    def __init__(
        self,
        folder: Path,
        lives: Sequence[int] = (),
        *,
        max_size: int = NEVER,
        timestamps: bool = False,
        journal: Journald | None = None,
        cut: float = 1.0,
    ) -> None:
        self.path = folder / "web.log"
        self.kills = 0
        self._lives = iter(lives)
        self._how = {"max_size": max_size, "keep": 1000, "timestamps": timestamps}
        self._journal = journal
        self._cut = cut
        self._memory = ledger.made()
        self._shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
        self.pipes = [os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) for _ in range(2)]

    @property
    def is_ready(self) -> bool:
        """True when a log process that was not killed has said so."""
        return bool(self._shared[READY])

    def play(self, texts: Sequence[tuple[int, bytes]]) -> None:
        """Have each text written to one of the pipes and taken, then the pipes ended."""
        self._live(texts)
        for _, write_end in self.pipes:
            os.close(write_end)
        self._live(())
        for read_end, _ in self.pipes:
            os.close(read_end)
        os.close(self._memory)

    def _live(self, texts: Sequence[tuple[int, bytes]]) -> None:
        while True:
            stores = next(self._lives, NEVER)
            pid = os.fork()
            if not pid:
                self._serve(texts, stores)
            status = self._ended(pid)
            if status == 0:
                return
            assert status == -signal.SIGKILL
            self.kills += 1
            self._cut_short()

    def _ended(self, pid: int) -> int:
        """Return how a log process ended; meanwhile be a journald that reads."""
        journald = [self._journal._sock] if self._journal is not None else []
        pidfd = os.pidfd_open(pid)
        while pidfd not in select.select([pidfd, *journald], [], [])[0]:
            for _ in journald:
                self._journal.read()
        os.close(pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _serve(self, texts: Sequence[tuple[int, bytes]], stores: int) -> None:
        """Be a log process, and end with exit code 0 if it is not killed."""
        try:
            server = self.born(stores)
            for number in (0, 1):
                server._obey(self.order(number), [self.pipes[number][0]])
            server._obey({"order": "begin"}, [])
            self._take(server, 0)
            self._take(server, 1)
            while self._shared[WRITTEN] < len(texts):
                number, text = texts[self._shared[WRITTEN]]
                os.write(self.pipes[number][1], text)
                self._shared[WRITTEN] += 1
                self._take(server, number)
            if any(b"matched" in message for message, _, _ in server._wire.unsent):
                self._shared[READY] = 1
            os._exit(0)
        except BaseException:  # noqa: BLE001  # nothing of this process may go on into the test's own code
            traceback.print_exc()
            os._exit(1)

    def born(self, stores: int = NEVER) -> LogServer:
        """Return a log process that nobody has told of a pipe."""
        ours, theirs = pair()
        ours.close()
        server = LogServer(Wire(theirs), MortalLedger(self._memory, stores))
        if self._journal is not None:
            ledger = server._passage.ledger
            server._outbox = server._passage.outbox = Outbox(Journal(self._journal.path), ledger.journal.words)
        return server

    def _take(self, server: LogServer, number: int) -> None:
        pipe = server._pipes.get(self.pipes[number][0])
        while pipe is not None and pipe.fd in server._pipes and server._drain(pipe):
            server._watch_outbox()

    def order(self, number: int) -> dict[str, object]:
        """Return what a log process is told of a pipe."""
        own = {"pipe": number + 1, "account": number, "ready": "^[12]-7 .*$", "run_id": 1, "slot": "web:1:0"}
        looks = {"order": "open", "label": "web", "colour": 36, "grace": None}
        if self._journal is not None:
            return own | looks | {"path": "journal:web", "fields": {}, "priority": 6}
        return own | looks | {"path": str(self.path)} | self._how

    def _cut_short(self) -> None:
        """Have the last write have come less far, where the one that was killed had not noted its end."""
        words = Ledger(self._memory).files.words
        if words[PIPE] and words[JOINT] and words[DONE] < words[UNTIL] and self.path.exists():
            size = self.path.stat().st_size
            if size == words[BEFORE] + words[UNTIL] - words[DONE]:
                os.truncate(self.path, words[BEFORE] + int((words[UNTIL] - words[DONE]) * self._cut))


def texts(writes: Sequence[tuple[int, int]]) -> list[tuple[int, bytes]]:
    """Return numbered lines of each pipe, cut into writes of so many bytes."""
    whole = [
        b"".join(b"%d-%d %b\n" % (pipe, number, b"x" * (number % 23)) for number in range(4000)) for pipe in (1, 2)
    ]
    made = []
    for pipe, size in writes:
        made.append((pipe, whole[pipe][:size]))
        whole[pipe] = whole[pipe][size:]
    return made


def undisturbed(folder: Path, written: Sequence[tuple[int, bytes]], max_size: int) -> list[str]:
    folder.mkdir()
    scene = Scene(folder, max_size=max_size)
    scene.play(written)
    assert scene.kills == 0
    return numbered(scene.path)


LITTLE = texts([(0, 40), (0, 5), (1, 30), (0, 300), (1, 7), (0, 1), (1, 100)])


@pytest.mark.parametrize("cut", [0.4, 1.0])
@pytest.mark.parametrize("max_size", [NEVER, 100])
def test_wherever_it_is_killed_the_files_are_as_if_it_were_not(tmp_path: Path, max_size: int, cut: float) -> None:
    expected = undisturbed(tmp_path / "undisturbed", LITTLE, max_size)
    for stores in itertools.count():
        folder = tmp_path / f"{stores}"
        folder.mkdir()
        scene = Scene(folder, [stores], max_size=max_size, cut=cut)
        scene.play(LITTLE)
        assert numbered(scene.path) == expected, f"killed after {stores} stores"
        assert scene.is_ready
        if not scene.kills:
            break
    assert stores > 100


SIZES = st.one_of(st.integers(1, 300), st.integers(1, 6 * SLICE // 10))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), SIZES), min_size=1, max_size=12),
    st.lists(st.integers(0, 120), max_size=8),
    st.floats(0, 1),
    st.sampled_from([NEVER, 4_000, 30_000]),
)
def test_however_often_it_is_killed_the_files_are_as_if_it_were_not(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[int, int]],
    lives: list[int],
    cut: float,
    max_size: int,
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    written = texts(writes)
    scene = Scene(folder, lives, max_size=max_size, cut=cut)
    scene.play(written)
    assert numbered(scene.path) == undisturbed(folder / "undisturbed", written, max_size)


def test_wherever_it_is_killed_journald_has_every_line_and_one_at_most_twice(tmp_path: Path) -> None:
    expected: list[str] = []
    for stores in itertools.chain([NEVER], itertools.count()):
        with journald(tmp_path) as there:
            scene = Scene(tmp_path, [stores], journal=there)
            scene.play(texts([(0, 40), (0, 200), (1, 7)]))
            messages = [entry["MESSAGE"] for entry in there.read()]
        expected = expected or messages
        twice = Counter(messages) - Counter(expected)
        assert sorted(set(messages)) == sorted(expected), f"killed after {stores} stores"
        assert twice.total() <= 1
        assert scene.is_ready
        if stores != NEVER and not scene.kills:
            break
    assert len(expected) > 10, "journald had room all the time"
    assert stores > 50


def test_an_output_that_is_opened_when_journald_has_just_run_out_of_room_waits_for_it_too(tmp_path: Path) -> None:
    with journald(tmp_path) as there:
        scene = Scene(tmp_path, journal=there)
        server = scene.born()
        server._obey({"order": "begin"}, [])
        for number in (0, 1):
            server._obey(scene.order(number), [scene.pipes[number][0]])
            os.write(scene.pipes[number][1], b"line\n" * 100)
            server._drain(server._pipes[scene.pipes[number][0]])
            assert server._outbox.is_blocked
        server._tidy_up()
        while server._outbox.is_blocked:
            there.read()
            server._tidy_up()
        assert scene.pipes[1][0] in dict(server._epoll.poll(0))
        server._epoll.close()
        server._wire.close()
        server._outbox._journal.close()
        for fd in itertools.chain(*scene.pipes):
            os.close(fd)
