from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_it_writes_a_manifest_and_two_examples_that_check_accepts(jobvisor: Shell) -> None:
    done = jobvisor("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:3] == ["wrote jobs.toml", "wrote jobs/hello.py", "wrote jobs/counter.py"]
    assert "#" in (jobvisor.folder / "jobs.toml").read_text()
    assert jobvisor("check").stdout == "jobs.toml: ok, 2 jobs\n"


@pytest.mark.parametrize("name", ["jobs.toml", "jobs/hello.py", "jobs/counter.py"])
def test_it_overwrites_nothing_and_says_what_is_there(jobvisor: Shell, name: str) -> None:
    path = jobvisor.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")
    before = sorted(jobvisor.folder.rglob("*"))
    done = jobvisor("init")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{name}: exists already; nothing was written\n"
    assert path.read_text() == "precious"
    assert sorted(jobvisor.folder.rglob("*")) == before


def test_it_writes_through_no_dangling_link(jobvisor: Shell) -> None:
    (jobvisor.folder / "jobs.toml").symlink_to("elsewhere.toml")
    assert jobvisor("init").returncode == 1
    assert not (jobvisor.folder / "elsewhere.toml").exists()


def test_a_folder_in_use_keeps_its_other_files(jobvisor: Shell) -> None:
    (jobvisor.folder / "jobs").mkdir()
    (jobvisor.folder / "jobs" / "own.py").write_text("precious")
    assert jobvisor("init").returncode == 0
    assert (jobvisor.folder / "jobs" / "own.py").read_text() == "precious"


def test_it_writes_where_f_says(jobvisor: Shell) -> None:
    assert jobvisor("-f", "app/own.toml", "init").returncode == 0
    assert (jobvisor.folder / "app" / "jobs" / "hello.py").exists()
    assert jobvisor("-f", "app/own.toml", "check").stdout == "own.toml: ok, 2 jobs\n"
    assert not (jobvisor.folder / "jobs.toml").exists()


def test_what_cannot_be_written_is_said(jobvisor: Shell) -> None:
    (jobvisor.folder / "jobs").write_text("a file")
    done = jobvisor("init")
    assert done.returncode == 1
    assert done.stderr == "cannot write jobs: File exists\n"
