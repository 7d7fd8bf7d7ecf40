import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually

from supervisor.errors import AlreadyRunningError, JobvisorError
from supervisor.statedir import Lock, Vacancy, boot_id, make_private


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777 & ~0o700])
def test_a_new_state_folder_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    old = os.umask(mask)
    try:
        make_private(tmp_path / "state")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_an_existing_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    make_private(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


def test_a_file_in_its_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(JobvisorError, match="is not a folder"):
        make_private(tmp_path / "state")


def test_a_second_supervisor_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    with Lock(tmp_path):
        program = "import pathlib, sys; from supervisor.statedir import *; Lock(pathlib.Path(sys.argv[1])).__enter__()"
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert second.returncode == 1
    assert f"pid {os.getpid()}" in second.stderr


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(AlreadyRunningError), Lock(tmp_path):
        pass
    with Lock(tmp_path):
        pass


def test_no_child_holds_the_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.__enter__()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    lock.__exit__(None, None, None)
    try:
        eventually(lambda: is_free(tmp_path))  # the kernel closes descriptors a moment after it lets the parent go on
    finally:
        child.communicate(b"\n")


def is_free(state_dir: Path) -> bool:
    try:
        with Lock(state_dir):
            return True
    except AlreadyRunningError:
        return False


def test_the_lock_is_not_followed_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JobvisorError, match="cannot open"):
        Lock(tmp_path).__enter__()
    assert not (tmp_path / "elsewhere").exists()


def test_the_boot_has_a_name() -> None:
    assert len(boot_id()) == 36


def test_jobs_wait_for_whoever_still_holds_the_vacancy_of_the_one_before(tmp_path: Path) -> None:
    said: list[str] = []
    with Vacancy(tmp_path, said.append) as held:
        keeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    assert said == []

    def let_go(text: str) -> None:
        said.append(text)
        assert keeper.stdin is not None
        keeper.stdin.close()

    with keeper, Vacancy(tmp_path, let_go):
        assert keeper.wait() is not None
    assert len(said) == 1
    with Vacancy(tmp_path, said.append):
        assert len(said) == 1


def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o1777)
    with pytest.raises(JobvisorError, match="everybody can write to"):
        make_private(tmp_path / "state")


def test_a_folder_in_one_where_everybody_may_rename_it_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared)
    for way in (shared, tmp_path / "link"):
        with pytest.raises(JobvisorError, match=f"everybody can write to {shared}, and so put another folder"):
            make_private(way / "app" / "state")
    assert list(shared.iterdir()) == []
    shared.chmod(0o1777)  # as /tmp is: there only the owner may
    make_private(shared / "app" / "state")


def test_the_folders_above_a_new_one_are_for_nobody_else_to_write_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "above" / "further" / "state")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("above", "above/further")] == [0o755, 0o755]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_folder_or_a_link_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", 65534, -1)
    with pytest.raises(JobvisorError, match="belongs to user 65534"):
        make_private(tmp_path / "state")
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    make_private(tmp_path / "link")
    os.chown(tmp_path / "link", 65534, -1, follow_symlinks=False)
    with pytest.raises(JobvisorError, match="who could change"):
        make_private(tmp_path / "link")
