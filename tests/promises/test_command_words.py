"""Words of the command line that no other test reads to the letter."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from program import Program, program
from shell import Shell
from world import SECOND, START, World, at, long_lived, periodic

from supervisor.cli.commands import COMMANDS
from supervisor.core.checks import Told
from supervisor.core.exits import Code
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import STATES, Disabled, Failed, Finished, Stopped, Waiting
from supervisor.core.status import Health, health, state_word
from supervisor.history.table import RUNS
from supervisor.values import replace

# -- options -----------------------------------------------------------------------------------------------------------

READING = {
    "call",
    "cast",
    "check",
    "errors",
    "forecast",
    "history",
    "logs",
    "next",
    "reload",
    "show",
    "signal",
    "stack",
    "state",
    "status",
    "version",
}
"""They read, or tell more than whether they did as asked; the others give orders, or print a file."""


def command(name: str) -> click.Command:
    found: click.Command = importlib.import_module(f"supervisor.cli.{name}").command
    return found


def test_every_command_that_reads_takes_json() -> None:
    assert {name for name in COMMANDS if any("--json" in each.opts for each in command(name).params)} == READING


def test_a_call_waits_for_5_seconds_where_nothing_else_is_said() -> None:
    [timeout] = [each for each in command("call").params if "--timeout" in each.opts]
    assert timeout.default == "5s"


# -- without a supervisor ----------------------------------------------------------------------------------------------


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.write('[jobs.web]\ncommand = ["sleep", "1000"]\n[jobs.nightly]\ncommand = "true"\ncron = "0 2 * * *"\n')
    return made


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("status --json", 4),
        ("status nosuch --json", 4),
        ("show nosuch --json", 4),
        ("history nosuch --json", 4),
        ("errors nosuch --json", 4),
        ("logs nosuch --json", 4),
        ("reload --json", 4),
        ("stack web --json", 4),
        ("next --every 5x --json", 1),
        ("forecast --for 5x --json", 2),
        ("logs --grep ( --json", 2),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_alone(jobvisor: Shell, line: str, code: int) -> None:
    done = jobvisor(*line.split())
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr


@pytest.mark.parametrize("line", ["history", "errors", "logs", "show web"])
def test_without_a_supervisor_files_are_read_and_orders_are_4(jobvisor: Shell, line: str) -> None:
    done = jobvisor(*line.split())
    assert (done.returncode, done.stderr) == (0, "")
    for order in ("status", "start web", "stop web", "restart web", "pause nightly", "trigger nightly", "scale web=2"):
        assert jobvisor(*order.split()).returncode == 4, order


def test_a_broken_manifest_hides_no_records_and_no_output(tmp_path: Path) -> None:
    with program(tmp_path) as made:
        folders = '[supervisor]\nstate_dir = "state"\nlog_dir = "out"\n'
        made.write(folders + '[jobs.hello]\ncommand = ["echo", "hi"]\ncron = "@yearly"\n')
        made.run()
        made.ctl("trigger", "hello", "--wait")
        made.ctl("shutdown")
        made.write((tmp_path / "jobs.toml").read_text() + "evry = [\n")
        for line, expected in (("history hello", " ok "), ("logs hello", "hi"), ("errors", "no failures")):
            done = made.ctl(*line.split())
            assert (done.returncode, expected in done.stdout) == (0, True), line
            assert done.stderr.startswith("warning: jobs.toml:7: not TOML: ")
        assert made.ctl("show", "hello").returncode == 1


# -- orders to a scheduled job -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with program(tmp_path_factory.mktemp("words")) as made:
        made.write(
            '[jobs.yearly]\ncommand = ["sh", "-c", "until [ -e go ]; do sleep 0.05; done"]\ncron = "0 0 1 1 *"\n'
            '[jobs.failing]\ncommand = "false"\ncron = "0 0 1 1 *"\n'
        )
        made.run()
        yield made


def is_iso(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) is not None


def test_orders_to_a_scheduled_job(app: Program) -> None:
    app.ctl("trigger", "yearly")
    app.eventually_job("yearly", state="running")
    assert app.ctl("restart", "yearly").stdout == "yearly: waiting for its next due time\n"
    assert app.json("history", "yearly")[0]["outcome"] == "stopped"
    app.ctl("trigger", "yearly")
    app.eventually_job("yearly", state="running")
    assert app.ctl("stop", "yearly").stdout == "yearly: stopped\n"
    assert app.job("yearly")["state"] == "stopped"
    assert app.ctl("start", "yearly").stdout == "yearly: waiting for its next due time\n"
    assert (app.job("yearly")["state"], len(app.json("history", "yearly"))) == ("waiting", 2)


def test_a_running_run_of_a_paused_job_goes_on(app: Program) -> None:
    app.ctl("trigger", "yearly")
    pid = app.eventually_job("yearly", state="running")["pid"]
    assert app.ctl("pause", "yearly").stdout == "yearly: paused\n"
    assert (app.job("yearly")["state"], app.job("yearly")["pid"]) == ("running", pid)
    (app.folder / "go").touch()
    assert app.eventually_job("yearly", state="paused")["last"]["outcome"] == "ok"
    app.ctl("resume", "yearly")
    (app.folder / "go").unlink()


def test_times_are_iso_8601_in_utc_and_what_is_unknown_is_null(app: Program) -> None:
    app.ctl("trigger", "failing", "--wait")
    status = app.json("status")
    failing = next(job for job in status["jobs"] if job["name"] == "failing")
    times = [status["supervisor"]["started_at"], failing["next_due_at"], failing["last"]["started_at"]]
    assert all(map(is_iso, [*times, failing["last"]["ended_at"]]))
    unknown = ("node", "pid", "started_at", "uptime_s", "cpu_percent", "rss_bytes", "pss_bytes", "progress")
    assert [failing[key] for key in unknown] == [None] * len(unknown)
    assert (failing["last"]["signal"], failing["last"]["exit_code"]) == (None, 1)


def test_history_json_has_the_keys_of_the_contract(app: Program) -> None:
    app.ctl("trigger", "failing", "--wait")
    row = app.json("history", "failing")[0]
    assert list(row) == [
        "run_id",
        "job",
        "instance",
        "node",
        "due_at",
        "started_at",
        "ended_at",
        "duration_s",
        "outcome",
        "attempt",
        "trigger",
        "exit_code",
        "signal",
        "cpu_s",
        "max_rss_bytes",
        "reason",
        "error",
    ]
    assert (row["outcome"], row["trigger"], row["exit_code"], row["error"]) == ("failed", "manual", 1, None)


def test_history_has_the_columns_of_the_contract() -> None:
    assert RUNS == ("ID", "JOB", "DUE", "STARTED", "DURATION", "OUTCOME", "ATTEMPT", "CPU", "RSS", "ERROR")


def test_show_tells_coming_times_and_last_runs(app: Program) -> None:
    app.ctl("trigger", "failing", "--wait")
    shown = app.ctl("show", "failing").stdout
    assert "\nnext\n" in shown
    assert "\nlast runs\n" in shown
    told = app.json("show", "failing")
    assert told["next"][0].endswith("-01-01T00:00:00Z")
    assert told["runs"][0]["outcome"] == "failed"


# -- states and health -------------------------------------------------------------------------------------------------


def test_states_and_healths_are_the_words_of_the_contract() -> None:
    states = {state_word(slot(each.__new__(each), paused=paused)) for each in STATES for paused in (False, True)}
    assert states == {
        "waiting",
        "starting",
        "running",
        "stopping",
        "backoff",
        "failed",
        "stopped",
        "paused",
        "finished",
        "disabled",
        "blocked",
    }
    assert {each.value for each in Health} == {"ok", "starting", "failing", "late", "unhealthy", "hung", "stopped"}


def test_which_healths_status_calls_good() -> None:
    assert {each.value: each.is_good for each in Health} == {
        "ok": True,
        "starting": True,
        "stopped": True,
        "failing": False,
        "late": False,
        "unhealthy": False,
        "hung": False,
    }


def slot(state: Any, **settings: Any) -> Slot:
    return Slot(id=SlotId("job"), job=periodic("job"), state=state, **settings)


@pytest.mark.parametrize(
    ("shown", "word"),
    [
        (slot(Waiting(START), paused=True), Health.OK),
        (slot(Disabled(START)), Health.OK),
        (slot(Finished(START)), Health.OK),
        (slot(Failed(START, "gave up")), Health.FAILING),
        (slot(Stopped(START)), Health.STOPPED),
    ],
)
def test_the_health_of_each_state(shown: Slot, word: Health) -> None:
    assert health(shown, START)[0] is word


def test_what_is_blocked_is_starting_and_late_after_its_start_timeout() -> None:
    first = long_lived("first", ready=Told.NOTIFY, start_timeout=None)
    second = replace(long_lived("second", start_timeout=20 * SECOND), after=("first",))
    world = World((first, second))
    told = []
    for seconds in (0, 19, 21):
        world.until(START.wall + seconds * SECOND)
        blocked = world.board.slots[SlotId("second")]
        told.append((state_word(blocked), health(blocked, world.now)[0].value))
    assert told == [("blocked", "starting"), ("blocked", "starting"), ("blocked", "late")]


def test_a_scheduled_job_is_failing_from_its_first_failed_run_to_the_next_good_one() -> None:
    world = World((periodic("poll"),))
    told = []
    for clock, ended in (("12:06", Code(1)), ("12:11", Code(1)), ("12:16", Code(0)), ("12:21", Code(0))):
        world.until(at(clock))
        world.end_of("poll", ended)
        told.append(health(world.board.slots[SlotId("poll")], world.now)[0].value)
    assert told == ["failing", "failing", "ok", "ok"]
