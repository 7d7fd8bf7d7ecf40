import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from queue import Queue

import pytest
from conftest import eventually

from supervisor.logs.file import File
from supervisor.logs.reader import Line, Wish, follow, labels, last
from supervisor.logs.watch import Watch


def at(second: float) -> datetime:
    return datetime.fromtimestamp(1_700_000_000 + second, UTC)


def stamped(second: float, text: str) -> str:
    return f"{at(second):%Y-%m-%dT%H:%M:%S}.{at(second).microsecond // 1000:03}Z {text}\n"


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


# -- the last lines ----------------------------------------------------------------------------------------------------


def test_a_gap_that_a_rotation_leaves_for_a_moment_hides_no_file(tmp_path: Path) -> None:
    for number in (0, 1, 4):
        (tmp_path / (f"web.log.{number}" if number else "web.log")).write_text(f"{number}\n")
    assert texts(last(tmp_path, ["web"], Wish())) == ["4", "1", "0"]


def test_a_lines_time_stands_apart_from_its_text(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(stamped(0.123, "one") + "no time\n")
    (tmp_path / "web.err.log").write_text(stamped(1, "two"))
    assert last(tmp_path, ["web"], Wish()) == [
        Line("web", at(0.123), "one", "out"),
        Line("web", None, "no time", "out"),
        Line("web", at(1), "two", "err"),
    ]


def test_lines_of_several_jobs_are_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(stamped(1, "a") + stamped(4, "d") + stamped(5, "e"))
    (tmp_path / "api:2.log").write_text(stamped(2, "b") + stamped(3, "c") + stamped(6, "f"))
    assert texts(last(tmp_path, ["web", "api:2"], Wish())) == list("abcdef")
    assert texts(last(tmp_path, ["web", "api:2"], Wish(n=2))) == ["e", "f"]
    assert texts(last(tmp_path, ["web", "api:2"], Wish(n=0))) == []
    assert [line.label for line in last(tmp_path, ["web", "api:2"], Wish(n=2))] == ["web", "api:2"]


def test_lines_of_one_file_keep_their_order_whatever_the_clock_did(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(
        stamped(9, "first") + stamped(1, "after the clock was set back") + stamped(2, "x")
    )
    assert texts(last(tmp_path, ["web"], Wish())) == ["first", "after the clock was set back", "x"]


@pytest.mark.parametrize("n", [1, 99, 100, 250, 300, None])
def test_the_last_lines_reach_back_over_rotated_files(tmp_path: Path, n: int | None) -> None:
    for number, name in enumerate(["web.log.2", "web.log.1", "web.log"]):
        (tmp_path / name).write_text("".join(stamped(i, f"{i}") for i in range(number * 100, number * 100 + 100)))
    expected = [f"{number}" for number in range(300)]
    assert texts(last(tmp_path, ["web"], Wish(n=n))) == (expected[-n:] if n else expected)


@pytest.mark.parametrize(
    "text", ["", "\n", "a", "a\n", "\n\n", "a\n\n", "\na", "a\n\nb\n", "ü\n" * 50_000, "x" * 200_000]
)
def test_reading_backwards_finds_the_lines_that_reading_forwards_finds(tmp_path: Path, text: str) -> None:
    (tmp_path / "web.log").write_text(text)
    expected = text.removesuffix("\n").split("\n") if text else []
    assert texts(last(tmp_path, ["web"], Wish(n=None))) == expected


def test_lines_without_times_keep_their_order_and_go_with_the_time_before_them(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(stamped(1, "begin") + "more\nstill more\n" + stamped(5, "end"))
    (tmp_path / "api.log").write_text(stamped(3, "middle"))
    assert texts(last(tmp_path, ["web", "api"], Wish())) == ["begin", "more", "still more", "middle", "end"]


def test_files_without_times_are_merged_by_when_they_were_written(tmp_path: Path) -> None:
    for name, second in (("late", 9), ("early", 1)):
        (tmp_path / f"{name}.log").write_text(f"{name} 1\n{name} 2\n")
        os.utime(tmp_path / f"{name}.log", (at(second).timestamp(), at(second).timestamp()))
    lines = last(tmp_path, ["late", "early"], Wish())
    assert texts(lines) == ["early 1", "early 2", "late 1", "late 2"]
    assert {line.at for line in lines} == {None}
    assert texts(last(tmp_path, ["late", "early"], Wish(since=at(5)))) == ["late 1", "late 2"]


@pytest.mark.parametrize("text", [stamped(5.243, "late"), "late\n"], ids=["timed", "untimed"])
def test_a_file_whose_time_is_that_of_the_last_tick_still_has_what_was_written_since(tmp_path: Path, text: str) -> None:
    (tmp_path / "web.log").write_text(text)
    os.utime(tmp_path / "web.log", (at(5.236).timestamp(), at(5.236).timestamp()))
    assert texts(last(tmp_path, ["web"], Wish(since=at(5.240)))) == ["late"]
    assert last(tmp_path, ["web"], Wish(since=at(5.300))) == []


def test_since_and_until_include_their_instants(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("".join(stamped(second, f"{second}") for second in range(10)))
    assert texts(last(tmp_path, ["web"], Wish(since=at(3), until=at(5)))) == ["3", "4", "5"]
    assert texts(last(tmp_path, ["web"], Wish(since=at(3), until=at(7), n=2))) == ["6", "7"]


def test_grep_looks_at_the_text_and_counts_only_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("".join(stamped(second, f"line {second}") for second in range(20)))
    assert texts(last(tmp_path, ["web"], Wish(n=2, grep=re.compile("5$")))) == ["line 5", "line 15"]
    assert last(tmp_path, ["web"], Wish(grep=re.compile(r"\d{4}-"))) == []


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_bytes(b"\xff\xfe\n")
    assert texts(last(tmp_path, ["web"], Wish())) == ["\ufffd\ufffd"]


def test_a_job_without_output_and_a_folder_that_is_missing_have_no_lines(tmp_path: Path) -> None:
    assert last(tmp_path, ["web"], Wish()) == []
    assert last(tmp_path / "nowhere", ["web"], Wish()) == []
    assert labels(tmp_path / "nowhere") == []


def test_labels_are_those_that_have_files(tmp_path: Path) -> None:
    for name in ("web.log", "web.log.1", "api:2.log", "api:2.err.log", "gone.log.3"):
        (tmp_path / name).touch()
    assert labels(tmp_path) == ["api:2", "gone", "web"]


# -- what comes after them ---------------------------------------------------------------------------------------------


class Follower:
    """A follower in a thread of its own, as a client in a process of its own."""

    def __init__(self, log_dir: Path, wanted: list[str], wish: Wish | None = None, *, with_last: bool = False) -> None:
        self.lines: list[Line] = []
        self._over = False
        self._ready: Queue[None] = Queue()
        self._thread = threading.Thread(target=self._follow, args=(log_dir, wanted, wish or Wish(), with_last))
        self._thread.start()
        self._ready.get(timeout=60)

    def _follow(self, log_dir: Path, wanted: list[str], wish: Wish, with_last: bool) -> None:  # noqa: FBT001
        for line in follow(log_dir, wanted, wish, with_last=with_last, is_over=self._is_over, look_every=0.05):
            self.lines.append(line)

    def _is_over(self) -> bool:
        self._ready.put(None)
        return self._over

    def close(self) -> None:
        self._over = True
        self._thread.join()


@pytest.fixture
def following() -> Iterator[Callable[..., Follower]]:
    followers: list[Follower] = []

    def begin(*args: object, **kwargs: object) -> Follower:
        followers.append(Follower(*args, **kwargs))  # type: ignore[arg-type]
        return followers[-1]

    yield begin
    for follower in followers:
        follower.close()


def file(path: Path, *, max_size: int = 10**9, keep: int = 5) -> File:
    file = File(str(path), "web", lambda _: None)
    file.timestamps, file.max_size, file.keep = False, max_size, keep
    return file


def test_follow_yields_what_is_written_from_now_on(tmp_path: Path, following: Callable[..., Follower]) -> None:
    web = file(tmp_path / "web.log")
    web.write(1, b"before\n")
    follower = following(tmp_path, ["web"])
    web.write(1, b"one\ntwo\n")
    eventually(lambda: texts(follower.lines) == ["one", "two"])
    web.close()


def test_a_line_is_yielded_when_it_is_whole(tmp_path: Path, following: Callable[..., Follower]) -> None:
    web = file(tmp_path / "web.log")
    web.write(1, b"begun bef")
    follower = following(tmp_path, ["web"], with_last=True)
    web.write(1, b"ore, ")
    web.write(2, b"other\n")
    eventually(lambda: texts(follower.lines) == ["begun before, ", "other"])
    web.close()


def test_follow_begins_with_the_last_lines_and_leaves_no_gap(
    tmp_path: Path, following: Callable[..., Follower]
) -> None:
    web = file(tmp_path / "web.log", max_size=2000, keep=1000)
    over = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not over.is_set():
            web.write(1, b"%d\n" % written)
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: written > 5000)
        followers = [following(tmp_path, ["web"], Wish(n=100), with_last=True) for _ in range(3)]
        enough = written + 5000
        eventually(lambda: written > enough)
    finally:
        over.set()
        writer.join()
    for follower in followers:
        eventually(lambda follower=follower: follower.lines and follower.lines[-1].text == f"{written - 1}")
        numbers = [int(line.text) for line in follower.lines]
        assert numbers == list(range(numbers[0], written))
    web.close()


def test_follow_loses_no_line_over_several_rotations_between_two_looks(
    tmp_path: Path, following: Callable[..., Follower]
) -> None:
    web = file(tmp_path / "web.log", max_size=100, keep=100)
    web.write(1, b"old\n")
    follower = following(tmp_path, ["web"])
    web.write(1, b"".join(b"line %d\n" % number for number in range(500)))
    eventually(lambda: texts(follower.lines) == [f"line {number}" for number in range(500)])
    web.close()


def test_follow_goes_on_where_keep_has_dropped_what_was_not_yet_read(
    tmp_path: Path, following: Callable[..., Follower]
) -> None:
    web = file(tmp_path / "web.log", max_size=100, keep=1)
    web.write(1, b"old\n")
    follower = following(tmp_path, ["web"])
    web.write(1, b"".join(b"line %d\n" % number for number in range(500)))
    web.write(1, b"end\n")
    eventually(lambda: "end" in texts(follower.lines))
    web.close()


def test_follow_finds_a_file_that_is_made_later(tmp_path: Path, following: Callable[..., Follower]) -> None:
    follower = following(tmp_path, ["web", "api"])
    (tmp_path / "web.log").write_text("first\n")
    eventually(lambda: texts(follower.lines) == ["first"])
    (tmp_path / "api.err.log").write_text("second\n")
    eventually(
        lambda: [(line.label, line.stream, line.text) for line in follower.lines[1:]] == [("api", "err", "second")]
    )


def test_follow_begins_anew_in_a_file_that_was_truncated(tmp_path: Path, following: Callable[..., Follower]) -> None:
    path = tmp_path / "web.log"
    path.write_text("something long enough\n")
    follower = following(tmp_path, ["web"])
    path.write_text("new\n")
    eventually(lambda: texts(follower.lines) == ["new"])


def test_follow_yields_only_what_grep_finds(tmp_path: Path, following: Callable[..., Follower]) -> None:
    web = file(tmp_path / "web.log")
    follower = following(tmp_path, ["web"], Wish(grep=re.compile("error")))
    web.write(1, b"fine\nan error\nfine\nend of errors\n")
    eventually(lambda: texts(follower.lines) == ["an error", "end of errors"])
    web.close()


def test_follow_reads_once_more_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("before\n")

    def is_over() -> bool:
        with path.open("a") as file:
            file.write("last words\n")
        return True

    assert texts(list(follow(tmp_path, ["web"], Wish(), with_last=True, is_over=is_over))) == ["before", "last words"]


def test_a_follower_that_is_dropped_closes_its_files(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("one\ntwo\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    lines = follow(tmp_path, ["web"], Wish(), with_last=True)
    assert texts(list(islice(lines, 1))) == ["one"]
    with suppress(AttributeError):
        lines.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_watch_sleeps_until_something_is_written(tmp_path: Path) -> None:
    with Watch(tmp_path) as watch:
        (tmp_path / "web.log").write_text("line\n")
        watch.wait()
        woken = threading.Event()
        waiter = threading.Thread(target=lambda: (watch.wait(), woken.set()))
        waiter.start()
        assert not woken.wait(0.3)
        (tmp_path / "web.log").rename(tmp_path / "web.log.1")
        assert woken.wait(10)
        waiter.join()


def test_without_inotify_a_watch_looks_now_and_then(tmp_path: Path) -> None:
    with Watch(tmp_path / "nowhere") as watch:
        watch.wait()
        watch.wait(0.01)
