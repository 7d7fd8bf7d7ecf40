"""A probe tells of each target once: what it is, or what is missing; whatever an import does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import children, eventually
from rig import Rig, real

from supervisor.core.events import TargetFound, TargetMissing
from supervisor.core.job import Command
from supervisor.core.kind import Kind
from supervisor.engine.generation import Patience

CODE = """
import os
from supervisor import Worker

def function(): pass

class Clock(Worker): pass

class Plain: pass

number = 3
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE, patience=Patience(probe=3)) as made:
        yield made


def problem(rig: Rig, target: str | Command) -> str:
    (told,) = rig.probe(rig.job(target, name="poll", where="jobs.toml:12"))
    assert isinstance(told[1], TargetMissing)
    return told[1].problem


def test_a_target_is_a_function_or_a_worker(rig: Rig) -> None:
    assert rig.probe(rig.job("function"), rig.job("Clock", name="clock")) == [
        ("web", TargetFound(Kind.FUNCTION)),
        ("clock", TargetFound(Kind.WORKER)),
    ]


def test_a_missing_module_says_which_file_to_create(rig: Rig) -> None:
    (rig.folder / "tasks").mkdir()
    (rig.folder / "tasks" / "__init__.py").touch()
    assert problem(rig, "tasks.poll:PollApi") == (
        'job "poll" (jobs.toml:12): cannot import "tasks.poll": no module tasks/poll.py under '
        f'{rig.folder}; create that file with a Worker class named "PollApi"'
    )


def test_a_missing_package_is_named(rig: Rig) -> None:
    assert problem(rig, "nowhere.poll:run") == (
        'job "poll" (jobs.toml:12): cannot import "nowhere.poll": no package or module "nowhere" under '
        f'{rig.folder}; create nowhere/poll.py with a function named "run"'
    )


def test_a_missing_name_says_the_nearest(rig: Rig) -> None:
    assert problem(rig, "acts:functoin") == (
        f'job "poll" (jobs.toml:12): {rig.folder}/acts.py has no "functoin"; did you mean "function"? '
        "Define a function of that name there, or correct `run`"
    )
    assert problem(rig, "acts:Xyz") == (
        f'job "poll" (jobs.toml:12): {rig.folder}/acts.py has no "Xyz"; '
        "define a Worker class of that name there, or correct `run`"
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("acts:number", '"acts:number" is int, not a function or Worker class'),
        ("acts:Plain", 'the class "acts:Plain" is not a Worker; derive it from supervisor.Worker, or name a function'),
        ("acts.more:x", '"acts" is a module'),
    ],
)
def test_what_is_no_target_is_said(rig: Rig, target: str, words: str) -> None:
    assert words in problem(rig, target)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("\nraise ValueError('no')", 'importing "bad" raised ValueError at {folder}/bad.py:2: no'),
        ("import absent_module", 'importing "bad" raised ModuleNotFoundError at {folder}/bad.py:1: No module named'),
        ("def f(:", 'importing "bad" raised SyntaxError at {folder}/bad.py:1: '),
        ("import sys; sys.exit('bye')", 'importing "bad" raised SystemExit at {folder}/bad.py:1: bye'),
        ("import os; os._exit(3)", 'importing "bad" ended the process (exit 3)'),
        ("import os; os.kill(os.getpid(), 11)", 'importing "bad" ended the process (SIGSEGV'),
        ("import time; time.sleep(1000)", 'importing "bad" takes more than 3 s'),
    ],
)
def test_a_bad_import_is_blamed_and_the_others_are_tried(rig: Rig, code: str, words: str) -> None:
    (rig.folder / "bad.py").write_text(code + "\n")
    told = rig.probe(rig.job("function", name="a"), rig.job("bad:run", name="b"), rig.job("Clock", name="c"))
    assert [name for name, _ in told] == ["a", "b", "c"]
    assert told[0][1] == TargetFound(Kind.FUNCTION)
    assert told[2][1] == TargetFound(Kind.WORKER)
    assert isinstance(told[1][1], TargetMissing)
    assert told[1][1].problem.startswith('job "b": ' + words.format(folder=rig.folder))


def test_a_target_is_tried_with_its_jobs_environment(rig: Rig) -> None:
    (rig.folder / "needs.py").write_text("import os\nassert os.environ['COLOUR'] == 'red'\ndef run(): pass\n")
    (rig.folder / "needs_not.py").write_text("import os\nassert 'COLOUR' not in os.environ\ndef run(): pass\n")
    told = rig.probe(rig.job("needs:run", name="a", env={"COLOUR": "red"}), rig.job("needs_not:run", name="b"))
    assert [fact for _, fact in told] == [TargetFound(Kind.FUNCTION)] * 2


def test_a_program_is_looked_for_where_its_job_would_look(rig: Rig) -> None:
    (rig.folder / "tool").write_text("#!/bin/sh\n")
    assert problem(rig, Command(argv=("./tool",))).startswith(
        f'job "poll" (jobs.toml:12): cannot find its program: {rig.folder}/tool is missing or not executable'
    )
    (rig.folder / "tool").chmod(0o755)
    jobs = [
        rig.job(Command(argv=("./tool",)), name="a"),
        rig.job(Command(argv=("tool",)), name="b", env={"PATH": str(rig.folder)}),
        rig.job(Command(argv=("anything at all",), shell=True), name="c"),  # noqa: S604  # only looked at
    ]
    assert rig.probe(*jobs) == [(name, TargetFound(Kind.COMMAND)) for name in "abc"]
    assert 'no "tool" on PATH' in problem(rig, Command(argv=("tool",)))


def test_a_probe_is_gone_afterwards_and_is_no_run(rig: Rig) -> None:
    rig.probe(rig.job("function"))
    eventually(lambda: not children(rig.server))
    assert rig.facts == []
    assert rig.call(rig.engine.pids) == {}


def test_a_probe_survives_its_fork_server(rig: Rig) -> None:
    flag = rig.folder / "flag"
    (rig.folder / "slow.py").write_text(
        f"import os, time\nif not os.path.exists({str(flag)!r}):\n"
        f"    open({str(flag)!r}, 'w').close()\n    time.sleep(1000)\ndef run(): pass\n"
    )
    told: list[object] = []
    rig.call(rig.engine.probe, [rig.job("slow:run")], lambda _, fact: told.append(fact))
    eventually(flag.exists)
    rig.call(rig.engine._servers.current.kill)
    assert eventually(lambda: told) == [TargetFound(Kind.FUNCTION)]
