"""What a person is told of each mistake, against one approved text.

Each text says what could not be done, where, why, and what to do. After a wanted change:
``PYTHONPATH=tests:tests/core python tests/errors/test_errors.py``, and read the difference of ``approved.txt``.
"""

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from manifests import problems
from mistakes import INCLUDED, MANIFESTS, WITH_A_SUPERVISOR, WITHOUT_A_MANIFEST, WITHOUT_A_SUPERVISOR
from program import JOBVISOR, Program, program

APPROVED = Path(__file__).with_name("approved.txt")
SOURCE = Path(__file__).parents[2] / "supervisor"

STOPPED = """\
[jobs.web]
command = ["sleep", "1000"]
[jobs.nightly]
command = "true"
cron = "0 2 * * *"
"""
RUNNING = """\
[jobs.web]
command = ["sleep", "1000"]
settle = "100ms"
instances = 2
[jobs.quiet]
run = "jobs.quiet:run"
every = "1h"
[jobs.nightly]
command = "true"
cron = "0 2 * * *"
[jobs.next]
command = "true"
cron = "0 3 * * *"
[jobs.off]
command = "true"
cron = "0 3 * * *"
enabled = false
[jobs.broken]
run = "jobs.broken:Missing"
every = "1h"
[jobs.bad]
command = ["sh", "-c", "echo cannot bind; exit 3"]
backoff = "none"
max_restarts = 0
"""


# -- the listing -------------------------------------------------------------------------------------------------------


def listing() -> Iterator[str]:
    yield "# jobs.toml"
    files = {"/app/bad.env": "A=1\n2B=x\nC='open\n"}
    for text in MANIFESTS:
        yield from _of_manifest(text, files)
    for text in INCLUDED:
        yield from _of_manifest('[jobs.x]\ncommand = "x"', files, included=text)
    with TemporaryDirectory() as folder:
        yield "\n# without a manifest"
        made = Program(Path(folder))
        (made.folder / "jobs").rmdir()
        (made.folder / "strange").write_text("??? what is this\n")
        (made.folder / "some.service").write_text("[Unit]\nDescription=nothing\n")
        yield from _of_commands(made, WITHOUT_A_MANIFEST)
    with TemporaryDirectory() as folder:
        yield "\n# without a supervisor"
        made = Program(Path(folder))
        made.write(STOPPED)
        yield from _of_commands(made, WITHOUT_A_SUPERVISOR)
    with TemporaryDirectory() as folder, program(Path(folder)) as made:
        yield "\n# with a supervisor"
        made.write(RUNNING, quiet="def run():\n    pass\n", broken="")
        made.run()
        made.eventually_job("bad", state="failed")
        made.eventually_job("broken", health="failing")
        made.eventually_job("quiet", state="waiting")
        made.eventually_job("web", state="running", health="ok")
        yield from _of_commands(made, WITH_A_SUPERVISOR[:-1])
        made.write(RUNNING + "evry = 1\n")
        yield from _of_commands(made, WITH_A_SUPERVISOR[-1:])
        made.write("")
        yield from _of_commands(made, WITH_A_SUPERVISOR[-1:])


def _of_manifest(text: str, files: dict[str, str], included: str | None = None) -> Iterator[str]:
    yield ""
    yield from (f"    {_short(line)}" for line in (included or text).split("\n"))
    try:
        found = problems(text, files) if included is None else problems(text, files, sub=included)
    except ValueError as error:  # no TOML at all
        found = [f"jobs.toml: {error}"]
    yield from found


def _short(line: str) -> str:
    return line if len(line) < 100 else f"{line[:60]} … {line[-20:]}"


def _of_commands(made: Program, commands: tuple[str, ...]) -> Iterator[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("JOBVISOR_", "XDG_"))}
    for command in commands:
        words = command.split(" ") if "*" not in command or "* *" not in command else ["next", command[5:]]
        done = subprocess.run(
            [*JOBVISOR, *filter(None, words)],
            cwd=made.folder,
            env=environ | {"COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        yield f"\n$ jobvisor {shlex.join(filter(None, words))}"
        said = done.stderr.replace(str(made.folder), "FOLDER")
        said = re.sub(r"pid \d+", "pid PID", said)
        said = re.sub(r"[0-9a-f]{16}", "ID", said)
        yield from said.splitlines()
        yield f"exit code {done.returncode}"


# -- the tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed() -> str:
    return "\n".join(listing()) + "\n"


def test_every_mistake_is_told_as_approved(listed: str) -> None:
    if listed != APPROVED.read_text():
        found = APPROVED.with_suffix(".found")
        found.write_text(listed)
        difference = subprocess.run(
            ["diff", "-u", str(APPROVED), str(found)], capture_output=True, text=True, check=False
        )
        found.unlink()
        pytest.fail(f"an error text has changed; approve it (see this file's docstring)\n{difference.stdout}")


def test_no_mistake_is_answered_with_a_traceback_or_with_nothing(listed: str) -> None:
    assert "Traceback" not in listed
    for part in re.split(r"\n\n(?=\$ |    |# )", listed):
        *lines, last = part.strip("\n").split("\n")
        if part.startswith("$ "):
            assert re.fullmatch(r"exit code [1-9]\d*", last), part
            assert len(lines) > 1, part
        elif part.startswith("    "):
            assert not last.startswith("    "), f"no mistake: {part}"


ELSEWHERE = {
    "; give it to the supervisor's user, or name another one": "a folder of another user: tests/test_statedir.py",
    "; take that right away: chmod o-w": "a folder that all may write: tests/test_statedir.py",
    ", and so put another folder in the place of ": "a folder that all may write: tests/test_statedir.py",
    "; this supervisor is version": "another version of Jobvisor asks",
    '"names" must be a list of strings': "no command asks so",
    '"instances" must be a table of numbers': "no command asks so",
    '"signal" must be the number of a signal': "no command asks so",
    '"timeout" must be a number of seconds': "no command asks so",
    " are taken; use patterns or groups": "no command line is so long: tests/test_answers.py",
    "name at least one job": "click says it first",
    '"due_at" must be an instant in ISO 8601': "no command asks so",
    "must be what an upgrade has told": "no command asks so",
    " is recorded": "in the listing with its number",
    "the supervisor ended": "it dies: tests/cli/test_orders.py",
    "the supervisor has ended": "it ends while it is watched: tests/cli/test_watch.py",
    "the supervisor is gone": "it dies: tests/control",
    "no answer from the supervisor within": "it hangs: tests/control",
    "the supervisor takes no connection within": "it hangs: tests/control",
    "not allowed to use ": "another user: tests/control",
    " is no supervisor's control socket": "somebody else listens: tests/control",
    "cannot listen on the control socket": "tests/control, tests/test_end_to_end.py",
    ": another supervisor does, of another state_dir": "tests/control",
    ": a file that is no socket is there": "tests/control",
    "the new fork server died": "tests/cli/test_reload.py",
    "cannot start a new fork server": "no processes are left",
    "its target is still being imported": "an import that hangs: tests/test_talking.py",
    ": no answer within ": "a Worker that is busy: tests/cli",
    "a Worker class": "a target that is found: tests/engine/test_probe.py",
    "is not a Worker; derive it": "a target that is found: tests/engine/test_probe.py",
    "not a function or Worker class": "a target that is found: tests/engine/test_probe.py",
    "it was written by a newer Jobvisor": "tests/history/test_schema.py",
    "install that version again": "tests/history/test_schema.py",
    "the next `jobvisor run` brings it up to date": "tests/history",
    "cannot read ": "files that cannot be read: tests/history, tests/imports",
    ": not UTF-8 text": "tests/imports",
    "not a supervisord.conf": "tests/imports",
    "cannot create ": "tests/test_statedir.py",
    " is not a folder; move it away": "tests/test_statedir.py",
    "cannot open ": "tests/test_statedir.py",
    "cannot write ": "a folder that takes no files: tests/cli/test_init.py, tests/systemd",
    "; as root, or with --user?": "tests/systemd",
    ", which has no name; chown it": "tests/systemd",
    " is there, and not written for ": "tests/systemd",
    "; output is for ": "another user: tests/security/test_isolation.py",
    "the control socket cannot be opened to its group: ": "tests/security/test_isolation.py",
    "the supervisor's user is neither root nor in it; ": "not as root: tests/control/test_server.py",
    " never started: ": "tests/cli/test_logs.py",
    " is one of ": "a run of another job: tests/cli/test_logs.py",
    " goes on, and no job was touched": "tests/test_upgrade.py",
    " cannot take over from version ": "tests/test_upgrade.py",
    ": it does not know what is on the board: ": "tests/test_upgrade.py",
    "the new version does not start, or knows nothing of upgrades: ": "tests/test_upgrade.py",
    "cannot exec ": "tests/test_upgrade.py",
    "it is stopping all jobs; start the new version": "tests/test_upgrade.py",
    "; try again": "a loop without an idle moment",
    "the new version has not read the board within ": "an import that hangs for a minute",
    "cannot run ": "an interpreter that is gone before it is tried",
    "the disk of the checkpoints does not answer": "a disk that hangs",
    "the disk of the history does not answer": "a disk that hangs",
    "the supervisor has answered, and so has not": "a supervisor that does what none does",
    "another supervisor answers (pid ": "one that is started in the moment in which the new version dies",
    "the new version has ended at its start": "one that dies after it has proven itself",
}
"""Texts that nobody can be made to see here, by how they begin, and where they are seen instead."""
PASSED_ON = {"supervisor", "timezone", "env_file", "; expected "}
"""The longest literals of errors whose text is another's."""
ERRORS = {
    "JobvisorError", "NoSupervisorError", "NoSuchJobError", "ControlError", "AlreadyRunningError", "NewerSchemaError",
    "OlderSchemaError", "UsageError", "WrongUsageError", "BadParameter", "ScheduleError", "Fault", "refused",
}  # fmt: skip


def _texts() -> Iterator[tuple[str, str]]:
    """Yield the longest literal of each error that the source tells a person of, and its place."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _tells(node):
                literals = [
                    each.value
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
                longest = max(literals, key=len, default="").strip("\n")
                if len(longest) >= 8:
                    yield longest, f"{path.relative_to(SOURCE.parent)}:{node.lineno}"


def _tells(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in ERRORS:
            return True
        case ast.Attribute(attr="add", value=on) if len(call.args) >= 2:
            return ast.unparse(on).endswith(("problems", "table", "found"))
    return False


def test_every_error_of_the_source_is_in_the_listing_or_known_to_be_seen_elsewhere() -> None:
    approved = " ".join(APPROVED.read_text().split())
    missing = [
        f"{place}: {text!r}"
        for text, place in _texts()
        if text not in PASSED_ON
        and " ".join(text.split()) not in approved
        and not any(known in text for known in ELSEWHERE)
    ]
    assert not missing, "make the mistake in tests/errors/mistakes.py:\n" + "\n".join(missing)


if __name__ == "__main__":
    APPROVED.write_text("\n".join(listing()) + "\n")
