"""The page of progress: the latest figures, whoever reads them whenever."""

import os
import subprocess
import sys

import pytest
from conftest import eventually

from supervisor.page import LONGEST_NOTE, Figures, Page, read


def test_the_latest_figures_are_what_is_read() -> None:
    page = Page(7)
    assert read(page.fd) is None
    page.write(1, 10, "loading")
    page.write(4, 10, "storing")
    found = read(page.fd)
    assert found is not None
    assert (found.run_id, found.first, found.done, found.total, found.note) == (7, 1, 4, 10, "storing")
    assert found.at >= found.began_at


def test_an_unknown_total_stays_unknown_and_a_note_is_cut_between_characters() -> None:
    page = Page(7)
    page.write(2.5, None, "é" * LONGEST_NOTE)
    found = read(page.fd)
    assert found is not None
    assert found.total is None
    assert found.note == "é" * (LONGEST_NOTE // 2)


def test_a_done_that_goes_back_begins_anew_and_so_does_another_run() -> None:
    page = Page(7)
    page.write(5, 10, "")
    page.write(1, 10, "")
    found = read(page.fd)
    assert found is not None
    assert found.first == 1
    page.turn(8)
    page.write(3, 10, "")
    found = read(page.fd)
    assert found is not None
    assert (found.run_id, found.first) == (8, 3)


@pytest.mark.parametrize("done", ["many", None])
def test_what_is_no_number_is_an_error(done: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Page(7).write(done, 10, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b"", b"short", b"\xff" * 4096])
def test_what_is_no_page_of_ours_is_nothing(text: bytes) -> None:
    other = os.memfd_create("other")
    os.write(other, text)
    assert read(other) is None
    os.close(other)
    read_end, write_end = os.pipe()
    assert read(read_end) is None
    os.close(read_end)
    os.close(write_end)


def test_no_reader_ever_sees_half_of_it() -> None:
    writer = (
        "import sys\n"
        "from supervisor.page import Page\n"
        "page = Page(1)\n"
        "page.write(0, 0, '0')\n"
        "print(page.fd, flush=True)\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    page.write(number, number, str(number))\n"
    )
    with subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        fd = os.open(f"/proc/{process.pid}/fd/{int(process.stdout.readline())}", os.O_RDONLY)
        eventually(lambda: (found := read(fd)) and found.done > 0)
        seen: list[Figures] = []

        def look() -> bool:
            seen.extend(found for found in (read(fd) for _ in range(1000)) if found is not None)
            return len(seen) > 10_000

        eventually(look)
        process.kill()
    os.close(fd)
    assert all(found.total == found.done and found.note == str(int(found.done)) for found in seen)
