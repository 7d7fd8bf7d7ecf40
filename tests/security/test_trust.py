"""Who can change a file is told from owners and modes, its folders' too."""

import os
from pathlib import Path

import pytest

from supervisor.engine.redaction import redacted
from supervisor.trust import User, can_write

OTHER = User("other", 54321, frozenset({54321, 54322}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "folder" / "file"
    made.parent.mkdir(mode=0o755)
    made.write_text("")
    made.chmod(0o644)
    return made


@pytest.mark.parametrize(
    ("mode", "above", "is_open"),
    [(0o644, 0o755, False), (0o646, 0o755, True), (0o644, 0o757, True), (0o644, 0o1757, False), (0o664, 0o755, False)],
)
def test_others_write_by_the_mode_of_the_file_or_of_its_folder(
    file: Path, mode: int, above: int, *, is_open: bool
) -> None:
    file.chmod(mode)
    file.parent.chmod(above)
    assert can_write(OTHER, str(file)) is is_open


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_owner_and_group_write_what_is_theirs(file: Path) -> None:
    os.chown(file, -1, 54322)
    assert not can_write(OTHER, str(file))
    file.chmod(0o664)
    assert can_write(OTHER, str(file))
    file.chmod(0o444)
    os.chown(file, 54321, 0)
    assert can_write(OTHER, str(file))


def test_secrets_are_told_by_their_names_and_the_longest_goes_first() -> None:
    environ = {"DB_PASSWORD": "opensesame", "API_KEY": "opensesame2", "SHORT_KEY": "abc", "HOME": "/home/ada"}
    text = "opensesame2 opensesame abc /home/ada"
    assert redacted(text, environ) == "[API_KEY] [DB_PASSWORD] abc /home/ada"
