import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import JOBVISOR, Program, program

from supervisor.core.durations import parse_duration
from supervisor.load import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The arguments of every ``$ jobvisor …`` line, in the order in which they are read."""
    return [
        shlex.split(line.removeprefix("$ jobvisor "))
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ jobvisor ")
    ]


MAKES_THE_STAGE = {"run", "init", "import"}
"""What a test of its own runs, as it is no client of the running example."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The shipped example in a folder of its own, on a port of its own, up and healthy."""
    folder = tmp_path_factory.mktemp("example")
    with program(folder) as made:
        shutil.copytree(ROOT / "jobs", folder / "jobs", dirs_exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made.write((ROOT / "jobs.toml").read_text().replace("8765", str(port)))
        made.run()
        made.eventually_job("poll_api", health="ok", state="waiting", runs=2)
        yield made


@pytest.mark.parametrize("manifest", blocks("toml"))
def test_every_manifest_is_valid(manifest: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(manifest)
    assert load(path, os.environ).jobs


def test_there_are_commands_to_try() -> None:
    assert len([words for words in commands() if words[0] not in MAKES_THE_STAGE]) > 10


def test_every_command_does_what_it_says_in_the_order_of_the_text(example: Program) -> None:
    for words in commands():
        if words[0] not in MAKES_THE_STAGE:
            done = example.ctl(*words)
            assert done.returncode == 0, f"jobvisor {shlex.join(words)}: {done.stdout}{done.stderr}"
    assert example.supervisor is not None
    assert example.supervisor.wait(60) == 0


def test_init_writes_what_the_text_shows(tmp_path: Path) -> None:
    made = Program(tmp_path)
    (tmp_path / "jobs").rmdir()
    said = made.ctl("init").stdout
    assert any(f"$ jobvisor init\n{said}" in block for block in blocks("console"))
    assert made.ctl("check").returncode == 0


IMPORTED = {
    "-": "user-crontab",
    "/etc/supervisor/supervisord.conf": "supervisord.conf",
    "/etc/systemd/system/shop-*.service": "poller.service",
    "/etc/systemd/system/shop-*.timer": "sweep.timer",
}
"""What stands here for the files of a reader's machine."""


def test_what_the_text_imports_becomes_a_manifest_that_holds(tmp_path: Path) -> None:
    lines = re.findall(r"^\$ (?:crontab -l \| )?jobvisor import (.*) > jobs\.toml$", README, re.MULTILINE)
    assert sorted(name for line in lines for name in line.split()) == sorted(IMPORTED)
    made = Program(tmp_path)
    for line in lines:
        files = [ROOT / "tests" / "imports" / "files" / IMPORTED[name] for name in line.split()]
        names = ["/dev/stdin" if line == "-" else str(file) for file in files]
        with files[0].open() as stdin:
            done = subprocess.run(
                [*JOBVISOR, "import", *names], cwd=tmp_path, stdin=stdin, capture_output=True, text=True, check=True
            )
        made.write(done.stdout)
        assert made.ctl("check").returncode == 0


def test_an_unknown_key_is_answered_as_the_text_shows(tmp_path: Path) -> None:
    made = Program(tmp_path)
    made.ctl("init")
    path = tmp_path / "jobs.toml"
    path.write_text(path.read_text().replace("every =", "evry =", 1))
    checked = made.ctl("check")
    assert (checked.returncode, checked.stderr) == (1, blocks("text")[0])


def test_the_clock_is_shown_at_a_few_seconds_and_says_the_time(tmp_path: Path) -> None:
    block = next(block for block in blocks("toml") if "CurrentUnixTime" in block)
    every = re.search(r'every = "(.*)"', block)
    assert every is not None
    assert parse_duration(every[1]).total_seconds() < 10
    with program(tmp_path) as made:
        shutil.copytree(ROOT / "jobs", tmp_path / "jobs", dirs_exist_ok=True)
        made.write(block.replace(every[1], "200ms"))
        made.run("--output")
        made.eventually_job("current_unix_time", runs=3)
        assert re.search(r"Hello, the current unix timestamp is \d+", made.output("current_unix_time"))
