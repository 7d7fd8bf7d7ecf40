import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from samples import write
from shell import Shell

from supervisor.core.runs import Saved, SlotId

AFTER = ["--after", "2026-03-28T12:00:00Z"]


@pytest.fixture
def jobvisor(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_five_times_of_an_expression_with_offset(jobvisor: Shell) -> None:
    done = jobvisor("next", "30 2 * * *", *AFTER)
    assert (done.returncode, done.stderr) == (0, "")
    days = ("03-29", "03-30", "03-31", "04-01", "04-02")
    assert done.stdout.splitlines() == [f"2026-{day}T02:30:00+00:00" for day in days]


def test_json_is_a_list_of_strings(jobvisor: Shell) -> None:
    done = jobvisor("next", "@hourly", *AFTER, "-n", "2", "--json")
    assert json.loads(done.stdout) == ["2026-03-28T13:00:00+00:00", "2026-03-28T14:00:00+00:00"]


def test_times_are_in_the_zone_and_follow_its_clock(jobvisor: Shell) -> None:
    done = jobvisor("next", "30 2 * * *", *AFTER, "--timezone", "Europe/Berlin", "-n2")
    assert done.stdout.splitlines() == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_naive_after_is_in_the_zone(jobvisor: Shell) -> None:
    done = jobvisor("next", "0 * * * *", "--after", "2026-01-01T12:30:00", "--timezone", "Asia/Kolkata", "-n", "1")
    assert done.stdout == "2026-01-01T13:00:00+05:30\n"


def test_an_interval_counts_from_after_and_keeps_fractions(jobvisor: Shell) -> None:
    done = jobvisor("next", "--every", "1.5s", "--after", "2026-01-01T00:00:00.25+00:00", "-n", "2")
    assert done.stdout.splitlines() == ["2026-01-01T00:00:01.750000+00:00", "2026-01-01T00:00:03.250000+00:00"]


@pytest.mark.parametrize("expression", ["-5 * * * *", "-1", "-*/5 * * * *", "--5 * * * *", "-x * * * *", "- - - - -"])
def test_an_expression_that_starts_like_an_option_is_judged_as_one(jobvisor: Shell, expression: str) -> None:
    for arguments in (["next", expression, "-n", "1"], ["next", "-n", "1", "--", expression]):
        done = jobvisor(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f'"{expression}": ')
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["60 * * * *"],
        ["0 0 30 2 *"],
        [""],
        ["@reboot"],
        ["@never"],
        ["--every", "5x"],
        ["--every", "-5m"],
        ["--every", "- 5 m"],
        ["--every=5m 5m"],
        ["--every", ""],
        ["--every", "0s"],
        ["--every", "90"],
        ["0 2 * * *", "--timezone", "Mars/Olympus"],
        ["0 2 * * *", "--timezone", ""],
        ["0 2 * * *", "--timezone", "../../etc/passwd"],
        ["0 2 * * *", "--after", "tomorrow"],
    ],
    ids=" ".join,
)
def test_what_is_rejected_is_1_with_the_reason(jobvisor: Shell, arguments: list[str]) -> None:
    done = jobvisor("next", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["0 2 * * *", "--every", "5m"], ["-n", "0", "@daily"], ["--evry", "5m"], ["-n", "x", "@daily"]]
)
def test_wrong_usage_is_2(jobvisor: Shell, arguments: list[str]) -> None:
    done = jobvisor("next", *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_end_of_time_is_no_traceback(jobvisor: Shell) -> None:
    done = jobvisor("next", "0 0 1 1 *", "--after", "9998-06-01T00:00:00Z")
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[:1] == ["9999-01-01T00:00:00+00:00"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_time_behind_the_calendar_of_a_zone_is_said_in_utc(jobvisor: Shell, zone: str) -> None:
    done = jobvisor("next", "--every", "1h", "--after", "9999-12-31T20:30:00Z", "--timezone", zone)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("after", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00"])
def test_an_after_outside_the_calendar_is_1_with_the_reason(jobvisor: Shell, after: str) -> None:
    done = jobvisor("next", "@daily", "--after", after, "--timezone", "America/New_York")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'--after "{after}" lies outside the years 1 to 9999 of UTC\n'


def test_without_after_the_times_are_to_come(jobvisor: Shell) -> None:
    before = datetime.now(UTC)
    [due] = json.loads(jobvisor("next", "* * * * *", "-n", "1", "--json").stdout)
    assert before < datetime.fromisoformat(due) < datetime.now(UTC) + timedelta(minutes=1)


JOBS = """
[jobs.poll]
command = "true"
every = "1h"
[jobs.pause]
command = "true"
delay = "2h"
[jobs.web]
command = "true"
"""


def test_jobs_by_name_and_pattern(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    assert [line.split() for line in jobvisor("next", "poll", *AFTER, "-n", "2").stdout.splitlines()] == [
        ["DUE", "JOB"],
        ["2026-03-28T13:00:00+00:00", "poll"],
        ["2026-03-28T14:00:00+00:00", "poll"],
    ]
    for names in (["p*"], ["poll", "pause"], ["*", "poll"], []):
        told = json.loads(jobvisor("next", *names, *AFTER, "--json").stdout)
        assert [row["job"] for row in told] == ["poll", "poll", "pause", "poll", "poll"], names
    assert json.loads(jobvisor("next", "web", *AFTER, "--json").stdout) == []


def test_the_grid_of_a_job_is_the_saved_one(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    (jobvisor.folder / ".jobvisor").mkdir()
    seen_at = datetime(2026, 3, 20, 0, 7, tzinfo=UTC)
    poll = Saved(slot=SlotId("poll"), fingerprint="every 3600000000 0 seen", anchor=seen_at, cursor=seen_at)
    ended_at = datetime(2026, 3, 28, 11, 30, tzinfo=UTC)
    pause = Saved(slot=SlotId("pause"), fingerprint="delay 7200000000", cursor=seen_at, ended_at=ended_at)
    write(jobvisor.folder / ".jobvisor" / "history.db", poll, pause)
    assert json.loads(jobvisor("next", *AFTER, "-n", "3", "--json").stdout) == [
        {"job": "poll", "due_at": "2026-03-28T12:07:00+00:00"},
        {"job": "poll", "due_at": "2026-03-28T13:07:00+00:00"},
        {"job": "pause", "due_at": "2026-03-28T13:30:00+00:00"},
    ]
    jobvisor.write(JOBS.replace("1h", "3h"))
    assert json.loads(jobvisor("next", "poll", *AFTER, "-n", "1", "--json").stdout)[0]["due_at"][11:16] == "15:00"


def test_a_job_that_is_paused_or_stopped_by_hand_is_marked(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    (jobvisor.folder / ".jobvisor").mkdir()
    poll, pause = Saved(slot=SlotId("poll"), paused=True), Saved(slot=SlotId("pause"), held=True)
    write(jobvisor.folder / ".jobvisor" / "history.db", poll, pause)
    assert [line.split(maxsplit=1)[1] for line in jobvisor("next", *AFTER, "-n", "3").stdout.splitlines()] == [
        "JOB",
        "poll (paused)",
        "poll (paused)",
        "pause (stopped)",
    ]
    told = json.loads(jobvisor("next", *AFTER, "-n", "1", "--json").stdout)
    assert [each["job"] for each in told] == ["poll"]


def test_a_saved_state_that_cannot_be_read_is_a_warning(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    (jobvisor.folder / ".jobvisor").mkdir()
    (jobvisor.folder / ".jobvisor" / "history.db").write_bytes(b"nothing of the kind " * 100)
    done = jobvisor("next", *AFTER, "-n", "1", "--json")
    assert (done.returncode, len(json.loads(done.stdout))) == (0, 1)
    assert done.stderr.startswith("warning: cannot read ")


def test_one_word_that_is_neither_a_job_nor_an_expression_is_1(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    done = jobvisor("next", "pol")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('"pol": 1 field; expected five')
    assert done.stderr.endswith('and no job "pol"; did you mean "poll"?\n')


def test_of_several_words_each_must_be_a_job(jobvisor: Shell) -> None:
    jobvisor.write(JOBS)
    done = jobvisor("next", "0", "2", "*", "*", "*")
    assert (done.returncode, done.stdout) == (4, "")
    assert "an expression is one word, in quotes" in done.stderr


def test_the_manifests_jobs_soonest_first(jobvisor: Shell) -> None:
    jobvisor.write("""
        [jobs.nightly]
        command = "true"
        cron = "30 2 * * *"
        timezone = "Europe/Berlin"
        [jobs.often]
        command = "true"
        every = "6h"
        [jobs.web]
        command = "true"
        [jobs.off]
        command = "true"
        every = "1h"
        enabled = false
    """)
    done = jobvisor("next", *AFTER, "-n", "4")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["DUE", "JOB"],
        ["2026-03-28T18:00:00+00:00", "often"],
        ["2026-03-29T00:00:00+00:00", "often"],
        ["2026-03-29T03:00:00+02:00", "nightly"],
        ["2026-03-29T06:00:00+00:00", "often"],
    ]
    assert json.loads(jobvisor("next", *AFTER, "-n", "1", "--json").stdout) == [
        {"job": "often", "due_at": "2026-03-28T18:00:00+00:00"}
    ]
