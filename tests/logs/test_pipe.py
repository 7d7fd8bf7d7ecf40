import pytest

from supervisor.logs.ledger import LONGEST
from supervisor.logs.pipe import TAIL_BYTES, Tail, split


def test_a_line_of_64_kib_stays_whole_and_a_longer_one_is_split() -> None:
    assert split(b"x" * LONGEST, 0) == (b"x" * LONGEST, LONGEST)
    assert split(b"\n", LONGEST) == (b"\n", 0)
    assert split(b"yy\nz\n", LONGEST) == (b"\nyy\nz\n", 0)
    assert split(b"yy\nz", LONGEST) == (b"\nyy\nz", 1)


@pytest.mark.parametrize("size", [1, 1000, 4096, LONGEST])
def test_split_lines_together_are_what_was_written(size: int) -> None:
    text = b"a" * (3 * LONGEST + 5) + b"\nb\n"
    pieces, length = [], 0
    for start in range(0, len(text), size):
        piece, length = split(text[start : start + size], length)
        pieces.append(piece)
    lines = b"".join(pieces).split(b"\n")
    assert [len(line) for line in lines] == [LONGEST, LONGEST, LONGEST, 5, 1, 0]


def test_a_split_cuts_no_character_in_two() -> None:
    assert split("ü".encode(), LONGEST - 1) == (b"\n" + "ü".encode(), 2)
    assert split("aüüüü".encode(), LONGEST - 5) == ("aüü\nüü".encode(), 4)


def test_the_tail_is_the_last_50_lines() -> None:
    tail = Tail()
    for number in range(200):
        tail.add(1, b"line %d\n" % number)
    assert tail.lines() == [f"line {number}" for number in range(150, 200)]
    tail.trim()
    assert tail.lines() == [f"line {number}" for number in range(150, 200)]


def test_the_tail_is_bounded_in_bytes_and_begins_with_a_whole_line() -> None:
    tail = Tail()
    tail.add(1, b"".join(b"%d %b\n" % (number, b"x" * 1000) for number in range(50)))
    lines = tail.lines()
    assert sum(map(len, lines)) <= TAIL_BYTES
    assert lines[-1] == "49 " + "x" * 1000
    assert all(len(line) > 1000 for line in lines)
    assert len(lines) == TAIL_BYTES // 1004


def test_the_tail_of_one_endless_line_is_its_end() -> None:
    tail = Tail()
    tail.add(1, b"x" * 3 * TAIL_BYTES)
    tail.add(1, b"end")
    assert tail.lines() == ["x" * (TAIL_BYTES - 3) + "end"]


def test_the_tail_keeps_a_last_line_without_newline_and_empty_lines() -> None:
    tail = Tail()
    tail.add(1, b"one\n\nlast")
    assert tail.lines() == ["one", "", "last"]


def test_the_tail_joins_no_lines_of_two_pipes() -> None:
    tail = Tail()
    tail.add(1, b"half ")
    tail.add(2, b"error\n")
    tail.add(1, b"line\n")
    assert tail.lines() == ["half ", "error", "line"]
