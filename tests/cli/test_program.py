import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Canned, Shell, canned_supervisor
from terminal import Terminal

from supervisor import __version__
from supervisor.cli.commands import COMMANDS, ELSEWHERE

FOLDER = Path(__file__).parents[2] / "supervisor" / "cli"


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def canned(tmp_path: Path) -> Iterator[Canned]:
    with canned_supervisor(tmp_path) as made:
        yield made


def test_the_installed_program_and_the_module_are_the_same(jobvisor: Shell) -> None:
    installed = subprocess.run(
        [Path(sys.executable).with_name("jobvisor"), "--help"],
        cwd=jobvisor.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert installed.stdout == jobvisor("--help").stdout
    assert installed.stdout.startswith("Usage: jobvisor ")


def test_help_lists_every_command(jobvisor: Shell) -> None:
    shown = jobvisor("--help")
    assert shown.returncode == 0
    for name, what in COMMANDS.items():
        assert f"  {name} " in shown.stdout
        assert what in " ".join(shown.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_file_and_has_its_help(jobvisor: Shell, name: str) -> None:
    assert (FOLDER / f"{name}.py").exists()
    shown = jobvisor(name, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Usage: jobvisor {name} ")
    assert "--socket" in shown.stdout


def test_no_command_is_wrong_usage_and_shows_the_help(jobvisor: Shell) -> None:
    done = jobvisor()
    assert done.returncode == 2
    assert "Usage: jobvisor" in done.stderr


def test_an_unknown_command_is_2_with_the_nearest_name(jobvisor: Shell) -> None:
    done = jobvisor("stauts")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'No such command "stauts". Did you mean "status"?' in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["start"], ["stop"], ["restart"], ["pause"], ["resume"], ["trigger"], ["start", "web", "--now"], ["run", "web"]],
    ids=" ".join,
)
def test_wrong_usage_is_2(jobvisor: Shell, arguments: list[str]) -> None:
    done = jobvisor(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["start", "a"], ["stop", "a"], ["restart", "a"], ["pause", "a"], ["resume", "a"], ["reload"], ["shutdown"]],
    ids=" ".join,
)
def test_an_order_without_a_supervisor_is_4(jobvisor: Shell, arguments: list[str]) -> None:
    jobvisor.write("")
    done = jobvisor(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert "start one with `jobvisor run`" in done.stderr


def test_a_manifest_and_a_socket_may_be_named_before_and_behind_a_command(jobvisor: Shell, canned: Canned) -> None:
    canned.answers(pause={"result": {"jobs": []}})
    for arguments in (
        ["-f", "jobs.toml", "pause", "a"],
        ["pause", "a", "-f", "jobs.toml"],
        ["--socket", canned.socket, "pause", "-f", "nowhere.toml", "a"],
        ["-f", "nowhere.toml", "pause", "--socket", canned.socket, "a"],
    ):
        assert jobvisor(*arguments).returncode == 0
    assert len(canned.requests) == 4


def test_the_environment_may_name_both(canned: Canned, tmp_path: Path) -> None:
    canned.answers(pause={"result": {"jobs": []}})
    elsewhere = Shell(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    assert elsewhere("pause", "a", JOBVISOR_SOCKET=canned.socket).returncode == 0
    assert elsewhere("pause", "a", JOBVISOR_MANIFEST=str(tmp_path / "jobs.toml")).returncode == 0
    below = elsewhere("pause", "a")
    assert below.returncode == 0, "a parent folder's jobs.toml is found"


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_an_option_too(jobvisor: Shell, flag: str) -> None:
    assert jobvisor(flag).stdout == f"jobvisor {__version__}\n"


@pytest.mark.parametrize(("known", "here"), ELSEWHERE.items())
def test_a_command_that_other_programs_have_is_answered_with_ours(jobvisor: Shell, known: str, here: str) -> None:
    assert known not in COMMANDS
    assert here.split(maxsplit=1)[0] in COMMANDS
    assert jobvisor(here.split(maxsplit=1)[0], "--help").returncode == 0
    done = jobvisor(known)
    assert done.returncode == 2
    assert f'No such command "{known}". Did you mean "{here}"?' in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_no_marks_of_its_makers_and_fits_a_narrow_terminal(jobvisor: Shell, name: str) -> None:
    told = Terminal(jobvisor.folder, name, "--help", columns=60)
    assert told.end() == 0
    assert "\\b" not in told.shown
    assert "``" not in told.shown
    examples = [line for line in told.shown.splitlines() if " > ~/" in line]  # they are to be copied
    assert max(len(line) for line in told.shown.splitlines() if line not in examples) <= 60


def test_version_names_the_running_supervisor_where_it_is_another(jobvisor: Shell, canned: Canned) -> None:
    assert jobvisor("version").stdout.splitlines() == [
        f"jobvisor {__version__}",
        "the running supervisor is 9.9; restart it to use this version",
    ]
    assert json.loads(jobvisor("version", "--json").stdout) == {"version": __version__, "supervisor": "9.9"}
    canned.end()
    assert jobvisor("version").stdout == f"jobvisor {__version__}\n"
    assert json.loads(jobvisor("version", "--json").stdout) == {"version": __version__, "supervisor": None}


def test_run_on_a_bad_manifest_is_78_with_every_problem(jobvisor: Shell) -> None:
    jobvisor.write('[jobs.a]\nevry = "5m"\ncommand = "x"\n[jobs.b]\nrun = "nothing"\n')
    done = jobvisor("run")
    assert (done.returncode, done.stdout) == (78, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["jobs.toml:2", "jobs.toml:5"]
