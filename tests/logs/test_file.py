import errno
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import numbered

from supervisor.logs.file import File


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def file(path: Path) -> Iterator[File]:
    file = File(str(path), "web", lambda _: None)
    file.timestamps = False
    yield file
    file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "jobvisor-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_each_line_begins_with_the_time_in_utc_and_milliseconds(file: File, path: Path) -> None:
    file.timestamps = True
    file.write(1, b"one\ntwo\n")
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (one|two)", line)


def test_a_line_that_comes_in_pieces_has_one_time_and_is_in_the_file_at_once(file: File, path: Path) -> None:
    file.timestamps = True
    file.write(1, b"one ")
    assert path.read_text().endswith("Z one ")
    file.write(1, b"line\nnext\n")
    assert re.fullmatch(r"\S+Z one line\n\S+Z next\n", path.read_text())


def test_a_line_of_one_pipe_never_stands_on_a_line_of_another(file: File, path: Path) -> None:
    file.write(1, b"begun ")
    file.write(2, b"whole\n")
    file.write(1, b"goes on\n")
    assert path.read_text() == "begun \nwhole\ngoes on\n"


def test_the_end_of_a_pipe_ends_its_line_and_no_other(file: File, path: Path) -> None:
    file.write(1, b"open")
    file.end(2)
    assert path.read_text() == "open"
    file.end(1)
    file.end(1)
    assert path.read_text() == "open\n"


def test_a_file_that_ends_within_a_line_goes_on_in_a_new_one(file: File, path: Path) -> None:
    path.write_text("torn")
    file.write(1, b"next\n")
    assert path.read_text() == "torn\nnext\n"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_file_is_private_and_so_is_its_folder(tmp_path: Path, mask: int) -> None:
    # The log process sets its umask to 077; whatever it is, no more is given than this.
    old = os.umask(mask)
    try:
        file = File(str(tmp_path / "new" / "web.log"), "web", lambda _: None)
        file.write(1, b"secret\n")
        file.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new" / "web.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


# -- rotation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 1000, 8890])
def test_rotation_loses_no_line_cuts_none_and_keeps_exactly_keep(file: File, path: Path, piece: int) -> None:
    file.max_size, file.keep = 1000, 5
    lines = [f"line {number}" for number in range(1000)]
    text = "".join(f"{line}\n" for line in lines).encode()
    for start in range(0, len(text), piece):
        file.write(1, text[start : start + piece])
    kept = numbered(path)
    assert kept == lines[-len(kept) :]
    assert sorted(each.name for each in path.parent.iterdir()) == ["web.log", *(f"web.log.{n}" for n in range(1, 6))]
    for each in path.parent.iterdir():
        begun = 0 if piece == len(text) else len(lines[-1])  # a line that was begun ends in the same file
        assert each.stat().st_size <= 1000 + begun
        assert each.read_text().endswith("\n")
    assert len(kept) > 5 * (1000 // 9 - 2)


def test_without_timestamps_or_rotation_every_byte_is_in_the_file(file: File, path: Path) -> None:
    file.max_size = 10_000
    data = bytes(byte for byte in range(256) if byte != ord("\n")) + b"\n"
    for _ in range(20):
        file.write(1, data)
    assert path.read_bytes() == data * 20


def test_keep_0_keeps_only_the_newest_file(file: File, path: Path) -> None:
    file.max_size, file.keep = 10, 0
    file.write(1, b"aaaaaaa\nbbbbbbb\n")
    assert [each.name for each in path.parent.iterdir()] == ["web.log"]
    assert path.read_text() == "bbbbbbb\n"


def test_a_line_longer_than_a_file_gets_one_of_its_own_and_stays_whole(file: File, path: Path) -> None:
    file.max_size, file.keep = 10, 5
    file.write(1, b"a\n" + b"b" * 50)
    file.write(1, b"c" * 50 + b"\nd\n")
    assert numbered(path) == ["a", "b" * 50 + "c" * 50, "d"]
    assert path.read_text() == "d\n"


def test_a_smaller_keep_takes_effect_at_the_next_rotation(file: File, path: Path) -> None:
    file.max_size, file.keep = 4, 5
    file.write(1, b"".join(b"%03d\n" % number for number in range(10)))
    file.keep = 2
    file.write(1, b"end\n")
    assert numbered(path) == ["008", "009", "end"]


def test_a_device_is_written_to_and_never_rotated(tmp_path: Path) -> None:
    link = tmp_path / "web.log"
    link.symlink_to("/dev/null")
    file = File(str(link), "web", lambda _: None)
    file.max_size, file.keep = 10, 1
    file.write(1, b"a longer line than ten bytes\n" * 3)
    assert (file.error, link.is_symlink()) == (None, True)
    file.close()


def test_a_fifo_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "web.log")
    file = File(str(tmp_path / "web.log"), "web", lambda _: None)
    for _ in range(100):
        file.write(1, b"x" * 10_000 + b"\n")
    assert file.lost > 0
    assert file.error == os.strerror(errno.EAGAIN)
    file.close()


# -- others that touch the files ---------------------------------------------------------------------------------------


def test_reopen_goes_on_in_a_new_file_where_the_old_one_was_moved(file: File, path: Path) -> None:
    file.write(1, b"old\nhalf")
    path.rename(path.with_name("moved"))
    file.write(1, b" line\n")
    file.write(1, b"cut ")
    file.reopen()
    file.write(1, b"new\n")
    assert path.with_name("moved").read_text() == "old\nhalf line\ncut \n"
    assert path.read_text() == "new\n"


def test_reopen_leaves_a_file_that_is_in_its_place(file: File, path: Path) -> None:
    file.write(1, b"half ")
    file.reopen()
    file.write(1, b"line\n")
    assert path.read_text() == "half line\n"


def test_a_file_that_was_rotated_by_another_log_process_is_not_rotated_again(file: File, path: Path) -> None:
    file.max_size, file.keep = 10, 5
    file.write(1, b"123456789\n")
    path.rename(path.with_name("web.log.1"))
    path.write_text("other\n")
    file.write(1, b"abc\n")
    assert numbered(path) == ["123456789", "other", "abc"]
    assert not path.with_name("web.log.2").exists()


def test_a_file_that_was_truncated_in_its_place_is_not_rotated_too_early(file: File, path: Path) -> None:
    file.max_size, file.keep = 10, 5
    file.write(1, b"12345678\n")
    os.truncate(path, 0)
    file.write(1, b"abc\n")
    file.write(1, b"def\n")
    assert path.read_text() == "abc\ndef\n"
    assert not path.with_name("web.log.1").exists()


# -- a sick disk -------------------------------------------------------------------------------------------------------


def test_a_full_disk_drops_lines_counts_them_and_heals(small_disk: Path) -> None:
    reported: list[tuple[str | None, int]] = []
    path = small_disk / "web.log"
    file = File(str(path), "web", lambda file: reported.append((file.error, file.lost)))
    file.timestamps = False
    (small_disk / "ballast").write_bytes(b"x" * 32 * 1024)
    written = 0
    while not file.lost:
        file.write(1, b"".join(b"line %d\n" % number for number in range(written, written + 1000)))
        written += 1000
    assert file.error == os.strerror(errno.ENOSPC)
    kept = path.read_text().splitlines()
    whole = kept if path.read_text().endswith("\n") else kept[:-1]
    assert written - file.lost == len(whole)
    file.write(1, b"more\n")
    lost = file.lost
    assert lost == written - len(whole) + 1
    (small_disk / "ballast").unlink()
    file.write(1, b"well again\n")
    file.close()
    assert path.read_text().splitlines()[len(kept) :] == [
        f"[jobvisor] {lost} lines lost here: No space left on device",
        "well again",
    ]
    assert (file.error, file.lost) == (None, 0)
    assert reported[-1] == (None, 0)


def test_a_folder_that_cannot_be_written_to_drops_lines_and_heals(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    file = File(str(tmp_path / "logs" / "web.log"), "web", lambda _: None)
    file.timestamps = False
    file.write(1, b"one\ntwo\n")
    assert (file.error, file.lost) == (os.strerror(errno.ENOTDIR), 2)
    assert file.since > 0
    (tmp_path / "logs").unlink()
    file.write(1, b"three\n")
    file.close()
    assert (tmp_path / "logs" / "web.log").read_text() == "[jobvisor] 2 lines lost here: Not a directory\nthree\n"


def test_a_file_that_cannot_be_rotated_goes_on_growing_and_says_so_until_it_can(file: File, path: Path) -> None:
    file.max_size, file.keep = 10, 1
    path.with_name("web.log.1").mkdir()
    file.write(1, b"1234567\nabcdefg\nABCDEFG\n")
    assert path.read_text() == "1234567\nabcdefg\nABCDEFG\n"
    assert file.error is not None
    assert file.error.startswith("cannot rotate: ")
    assert file.lost == 0
    path.with_name("web.log.1").rmdir()
    file.write(1, b"next\n")
    assert file.error is None
    assert path.read_text() == "next\n"
