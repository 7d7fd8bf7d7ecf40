"""Completion by the real shells; one that is not installed is left out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Canned, Shell, canned_supervisor

from supervisor.cli.commands import COMMANDS

MANIFEST = """
[jobs.web]
command = ["sleep", "600"]
instances = 2
[jobs.poll_api]
command = ["true"]
every = "5m"
[jobs.poll_db]
command = ["true"]
every = "5m"
"""
BASH = """
source <(jobvisor completion bash)
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_jobvisor_completion jobvisor
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
compdef() {{ }}
source <(jobvisor completion zsh)
words=({words}); CURRENT=${{#words}}
_describe() {{ print -l -- ${{completions_with_descriptions%%:*}} }}
compadd() {{ print -l -- $completions }}
_jobvisor_completion
"""
FISH = """
jobvisor completion fish | source
complete -C "{plain}" | string split -f1 \\t
"""
SCRIPTS = {"bash": [BASH, "--norc"], "zsh": [ZSH, "-f"], "fish": [FISH, "--no-config"]}


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write(MANIFEST)
    return shell


@pytest.fixture
def canned(jobvisor: Shell) -> Iterator[Canned]:
    with canned_supervisor(jobvisor.folder) as made:
        yield made


@pytest.fixture(params=SCRIPTS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def completed(kind: str, folder: Path, *words: str) -> list[str]:
    """What the shell offers for the last of the words."""
    script, option = SCRIPTS[kind]
    quoted = " ".join(f"'{word}'" for word in words)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [kind, option, "-c", script.format(words=quoted, plain=" ".join(words))],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_commands(kind: str, jobvisor: Shell) -> None:
    assert set(completed(kind, jobvisor.folder, "jobvisor", "st")) == {
        name for name in COMMANDS if name.startswith("st")
    }


def test_options(kind: str, jobvisor: Shell) -> None:
    assert completed(kind, jobvisor.folder, "jobvisor", "start", "--no") == ["--no-wait"]


def test_names_of_jobs_by_the_manifest(kind: str, jobvisor: Shell) -> None:
    assert completed(kind, jobvisor.folder, "jobvisor", "restart", "poll") == ["poll_api", "poll_db"]
    assert completed(kind, jobvisor.folder, "jobvisor", "restart", "poll_db", "poll") == ["poll_api"]


def test_names_of_jobs_by_the_supervisor(kind: str, jobvisor: Shell, canned: Canned) -> None:
    job = {"name": "removed", "instance": 1, "state": "running"}
    canned.answers(status={"result": {"jobs": [job]}})
    assert completed(kind, jobvisor.folder, "jobvisor", "stop", "re") == ["removed"]


def test_a_manifest_named_on_the_line_is_the_one_that_is_asked(kind: str, jobvisor: Shell) -> None:
    (jobvisor.folder / "other.toml").write_text('[jobs.elsewhere]\ncommand = ["true"]')
    for words in (["-f", "other.toml", "stop"], ["stop", "-f", "other.toml"]):
        assert completed(kind, jobvisor.folder, "jobvisor", *words, "e") == ["elsewhere"]


def test_a_broken_manifest_offers_nothing_and_prints_nothing(kind: str, jobvisor: Shell) -> None:
    jobvisor.write("[jobs.")
    assert completed(kind, jobvisor.folder, "jobvisor", "stop", "w") == []


def test_instances_are_offered_behind_the_colon(jobvisor: Shell) -> None:
    """Where the shell does not take the colon for the end of a word, as bash does."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    assert completed("fish", jobvisor.folder, "jobvisor", "stop", "w") == ["web"]
    assert completed("fish", jobvisor.folder, "jobvisor", "stop", "web:") == ["web:1", "web:2"]


def test_scale_is_offered_jobs_with_the_number_that_they_have(kind: str, jobvisor: Shell) -> None:
    assert completed(kind, jobvisor.folder, "jobvisor", "scale", "we") == ["web=2"]
    assert completed(kind, jobvisor.folder, "jobvisor", "scale", "poll") == ["poll_api=1", "poll_db=1"]


def test_another_shell_is_wrong_usage(jobvisor: Shell) -> None:
    done = jobvisor("completion", "tcsh")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bash" in done.stderr
