import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from supervisor.logs.file import File
from supervisor.logs.numbered import Numbered
from supervisor.logs.reader import Track


@pytest.fixture
def web(tmp_path: Path) -> Iterator[File]:
    """A file that is rotated at each line."""
    made = File(str(tmp_path / "web.log"), "web", lambda _: None)
    made.timestamps, made.max_size, made.keep = False, 1, 1000
    yield made
    made.close()


def write(file: File, *numbers: int) -> None:
    for number in numbers:
        file.write(1, b"%d\n" % number)


@pytest.mark.parametrize("rotations", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_files_are_walked_in_order_whatever_is_rotated_meanwhile(
    web: File, tmp_path: Path, steps: int, rotations: int
) -> None:
    write(web, *range(10))
    with ExitStack() as opened:
        read: list[int] = []
        for count, file in enumerate(Numbered(tmp_path / "web.log").youngest_first(), 1):
            opened.callback(file.close)
            read.append(int(file.read()))
            if count == steps:
                write(web, *range(10, 10 + rotations))
    assert read == list(range(9, -1, -1))


@pytest.mark.parametrize("rotations", [0, 1, 2, 5, 20])
def test_a_follower_gets_each_line_once_and_in_order_whatever_is_rotated_meanwhile(
    web: File, tmp_path: Path, rotations: int
) -> None:
    track = Track(tmp_path, "web", "out")
    write(web, *range(10))
    read: list[int] = []
    for line, _ in track.fresh():
        read.append(int(line.text))
        if len(read) == 4:
            write(web, *range(10, 10 + rotations))
    for line, _ in track.fresh():
        read.append(int(line.text))
    assert read == list(range(10 + rotations))
    track.close()


def test_a_follower_keeps_up_with_a_writer_that_rotates_as_fast_as_it_can(web: File, tmp_path: Path) -> None:
    last = 2000
    web.keep = 20
    writer = threading.Thread(target=write, args=(web, *range(last)))
    track = Track(tmp_path, "web", "out")
    read: list[int] = []
    writer.start()
    while writer.is_alive():
        read += (int(line.text) for line, _ in track.fresh())
    writer.join()
    read += (int(line.text) for line, _ in track.fresh())
    track.close()
    assert read == sorted(set(read))
    assert read[-1] == last - 1


def test_a_number_that_somebody_has_deleted_stops_no_follower(web: File, tmp_path: Path) -> None:
    track = Track(tmp_path, "web", "out")
    write(web, 0)
    read = [line.text for line, _ in track.fresh()]
    write(web, 1, 2, 3)
    (tmp_path / "web.log.2").unlink()
    read += (line.text for line, _ in track.fresh())
    assert read == ["0", "2", "3"]
    track.close()
