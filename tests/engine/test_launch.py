"""What a run's process is told at its start."""

import json
from datetime import UTC, datetime

from supervisor.core.actions import Spawn, Tick
from supervisor.core.job import Command, Job, Process, Run
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.engine.launch import identity, launch, tick_identity

DUE = datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)


def attempt(due_at: datetime | None = None) -> Attempt:
    return Attempt(run_id=7, slot=SlotId("web", 2), trigger=Trigger.RETRY, due_at=due_at, attempt=3)


def test_a_due_time_is_told_in_utc_and_only_where_there_is_one() -> None:
    assert "JOBVISOR_DUE" not in identity(attempt())
    assert datetime.fromisoformat(identity(attempt(DUE))["JOBVISOR_DUE"]) == DUE


def test_a_tick_tells_its_own_run_and_the_process_it_runs_in() -> None:
    told = tick_identity(Tick(3, attempt(DUE)))
    assert (told["JOBVISOR_RUN_ID"], told["JOBVISOR_PROCESS"]) == ("7", "3")


def test_the_jobs_env_wins_over_the_supervisors_but_not_over_its_identity() -> None:
    process = Process(env={"A": "b", "JOBVISOR_JOB": "forged"}, cwd="/srv")
    told = launch(Spawn(attempt(), Job(name="web", target=Run(target="m:f"), process=process)), "/srv")
    assert told["env"]["A"] == "b"
    assert told["env"]["JOBVISOR_JOB"] == "web"
    assert told["env"]["JOBVISOR_INSTANCE"] == "2"
    assert "call" not in told


def test_a_command_is_its_words_or_a_shell_and_one_word() -> None:
    def argv(*words: str, shell: bool = False) -> object:
        job = Job(name="web", target=Command(argv=words, shell=shell))
        return json.loads(json.dumps(launch(Spawn(attempt(), job), "/srv")))["argv"]

    assert argv("a", "b c") == ["a", "b c"]
    assert argv("a | b", shell=True) == ["/bin/sh", "-c", "a | b"]  # noqa: S604  # only looked at
