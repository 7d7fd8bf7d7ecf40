import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from supervisor.cli.table import ago, aligned, fitted, one_line, short, size, status_lines

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CONTRACT = """\
NAME              STATE      PID    UP/AGO   RUNS  FAIL  CPU   RSS    LAST            NEXT        HEALTH
current_unix_time waiting    40099  12m      14    0     -     -      ok 12m ago      in 48m      ok
poll_api          running    40122  3s       288   2     1%    24M    ok 5m ago       in 4m57s    ok
web               running    40101  2d4h     1     0     0%    31M    -               -           ok
importer          backoff    -      -        9     9     -     -      exit 1 2s ago   in 4s       failing: \
ValueError importer.py:42
"""
MEBIBYTE = 1024 * 1024


def at(**offset: float) -> str:
    return (NOW + timedelta(**offset)).isoformat().replace("+00:00", "Z")


def job(name: str, state: str, **settings: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("reason", "pid", "started_at", "uptime_s", "cpu_percent", "rss_bytes", "pss_bytes", "last", "next_due_at")
    )
    return {
        "name": name,
        "instance": 1,
        "node": None,
        "state": state,
        "health": "ok",
        "runs": 1,
        "failures": 0,
        "restarts": 0,
        "progress": None,
        **nothing,
        **settings,
    }


def last(outcome: str, ended_at: str, **settings: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("due_at", "started_at", "exit_code", "signal", "error"))
    return {"run_id": 1, "outcome": outcome, "ended_at": ended_at, **nothing, **settings}


def status(*jobs: dict[str, Any], warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"supervisor": {}, "jobs": list(jobs), "groups": [], "warnings": list(warnings)}


SAMPLE = status(
    job(
        "current_unix_time",
        "waiting",
        pid=40099,
        uptime_s=50_000,
        runs=14,
        last=last("ok", at(minutes=-12)),
        next_due_at=at(minutes=48),
    ),
    job(
        "poll_api",
        "running",
        pid=40122,
        uptime_s=3.2,
        runs=288,
        failures=2,
        cpu_percent=1.2,
        rss_bytes=24 * MEBIBYTE,
        last=last("ok", at(minutes=-5)),
        next_due_at=at(seconds=297),
    ),
    job("web", "running", pid=40101, uptime_s=2 * 86_400 + 4 * 3600 + 59, cpu_percent=0.0, rss_bytes=31 * MEBIBYTE),
    job(
        "importer",
        "backoff",
        health="failing",
        reason="ValueError importer.py:42",
        runs=9,
        failures=9,
        last=last("failed", at(seconds=-2), exit_code=1, error="ValueError importer.py:42"),
        next_due_at=at(seconds=4),
    ),
)


def lines(shown: dict[str, Any], **settings: Any) -> list[str]:
    return status_lines(shown, NOW.timestamp(), **settings)


def cells(line: str) -> list[str]:
    return re.split(r"  +", line)


def test_the_table_says_what_the_contract_shows() -> None:
    promised = CONTRACT.replace("current_unix_time ", "current_unix_time  ").splitlines()
    assert [cells(line) for line in lines(SAMPLE)] == [cells(line) for line in promised]


def test_columns_are_as_wide_as_their_content() -> None:
    heads = [line.index(word) for line, word in zip(lines(SAMPLE), ("STATE", "waiting", "running"), strict=False)]
    assert heads == [len("current_unix_time") + 2] * 3


def test_a_narrow_terminal_cuts_health_and_nothing_else() -> None:
    full = lines(SAMPLE)
    width = len(full[-1]) - 5
    narrow = lines(SAMPLE, width=width)
    assert narrow[:-1] == full[:-1]
    assert len(narrow[-1]) == width
    assert narrow[-1] == full[-1][: width - 1] + "…"
    assert max(map(len, lines(SAMPLE, width=40))) == 40


def test_columns_that_tell_least_go_first_and_the_last_is_cut() -> None:
    rows = [("1", "a-long-name", "ok", "and a long tale of what was wrong")]
    headers, dispensable = ("ID", "JOB", "OUTCOME", "ERROR"), ("OUTCOME", "ID")
    assert fitted(headers, rows, width=None, dispensable=dispensable)[1] == "1   a-long-name  ok       " + rows[0][-1]
    assert fitted(headers, rows, width=40, dispensable=dispensable) == [
        "ID  JOB          OUTCOME  ERROR",
        "1   a-long-name  ok       and a long ta…",
    ]
    assert fitted(headers, rows, width=30, dispensable=dispensable)[1] == "1   a-long-name  and a long t…"
    assert fitted(headers, rows, width=24, dispensable=dispensable)[1] == "a-long-name  and a long…"


def test_colour_is_on_the_health_alone() -> None:
    for plain, coloured in zip(lines(SAMPLE), lines(SAMPLE, coloured=True), strict=True):
        assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert lines(SAMPLE, coloured=True)[-1].endswith("\x1b[31mfailing: ValueError importer.py:42\x1b[0m")
    assert lines(SAMPLE, coloured=True)[1].endswith("\x1b[32mok\x1b[0m")
    assert "\x1b" not in lines(SAMPLE, coloured=True)[0]


def test_instances_are_told_apart() -> None:
    shown = lines(status(job("web", "running"), job("web", "running", instance=2), job("db", "running")))
    assert [line.split()[0] for line in shown] == ["NAME", "web:1", "web:2", "db"]


def test_what_the_manifest_says_of_a_job_stands_behind_its_health_where_there_is_room() -> None:
    shown = SAMPLE | {"descriptions": {"web": "the shop\n\x1b[2J", "importer": "rows"}}
    plain, wide = lines(SAMPLE), lines(shown)
    column = wide[0].index("DESCRIPTION")
    assert column == max(map(len, plain)) + 2
    assert [line[:column].rstrip() for line in wide] == plain
    assert [line[column:] for line in wide] == ["DESCRIPTION", "", "", "the shop [2J", "rows"]
    assert lines(shown, width=column + 5) == plain
    assert lines(shown, width=column + 10)[0].endswith("  DESCRIPTI…")
    assert [re.sub("\x1b\\[\\d+m", "", line) for line in lines(shown, coloured=True)] == wide


def test_warnings_stand_under_the_table_one_line_each() -> None:
    shown = lines(status(job("web", "running"), warnings=("preload: numpy\nstarts threads", "history not writable")))
    assert shown[2:] == ["warning: preload: numpy starts threads", "warning: history not writable"]


def test_a_reason_can_neither_break_the_line_nor_command_the_terminal() -> None:
    [_, line] = lines(status(job("web", "failed", health="failing", reason="a\nb\x1b[2J\x07 \udcff")))
    assert line.endswith("failing: a b [2J")


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (last("ok", at(seconds=-1)), "ok 1s ago"),
        (last("failed", at(hours=-3), exit_code=70), "exit 70 3h ago"),
        (last("failed", at(hours=-3)), "failed 3h ago"),
        (last("killed", at(days=-2), signal="SIGKILL"), "SIGKILL 2d ago"),
        (last("timeout", at(seconds=-59), signal="SIGTERM"), "timeout 59s ago"),
        (last("skipped", at(seconds=-60)), "skipped 1m ago"),
        (last("lost", at(seconds=5)), "lost 0s ago"),
    ],
)
def test_how_the_last_run_ended(ended: dict[str, Any], words: str) -> None:
    assert cells(lines(status(job("f", "waiting", last=ended)))[1])[8] == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.4, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (297, "4m57s"),
        (599, "9m59s"),
        (754, "12m"),
        (3600, "1h"),
        (3900, "1h5m"),
        (86_399, "23h59m"),
        (86_400 + 59 * 60, "1d"),
        (2 * 86_400 + 4 * 3600, "2d4h"),
        (400 * 86_400, "400d"),
    ],
)
def test_a_length_of_time_in_two_units_at_most(seconds: float, text: str) -> None:
    assert short(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0s"), (3, "3s"), (330, "5m"), (7199, "1h"), (180_000, "2d")])
def test_how_long_ago_in_one_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0B"),
        (1023, "1023B"),
        (2048, "2K"),
        (1.5 * MEBIBYTE, "1.5M"),
        (24 * MEBIBYTE, "24M"),
        (3 * 1024 * MEBIBYTE, "3.0G"),
        (5000 * 1024 * MEBIBYTE, "4.9T"),
    ],
)
def test_sizes(count: float | None, text: str) -> None:
    assert size(count) == text


def test_an_empty_table_is_its_head() -> None:
    assert aligned(("A", "B"), []) == ["A  B"]


def test_one_line_of_any_text() -> None:
    assert one_line(" über\t\tall\r\n") == "über all"


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        ({"done": 420, "total": 1000, "per_second": 12.04, "left_s": 48.2, "note": "loading"},
         "ok [####......] 42% of 1,000, 12/s, 48s left: loading"),
        ({"done": 1000, "total": 1000, "per_second": 2.5, "left_s": 0.0, "note": ""},
         "ok [##########] 100% of 1,000, 2.5/s, 0s left"),
        ({"done": 1200, "total": 1000, "per_second": 0.0123, "left_s": None, "note": ""},
         "ok [##########] 100% of 1,000, 0.012/s"),
        ({"done": 12345, "total": None, "per_second": None, "left_s": None, "note": "a\x1b[31m\nb"},
         "ok 12,345 done: a [31m b"),
        ({"done": 0.5, "total": 0, "per_second": None, "left_s": None, "note": ""}, "ok 0.5 done"),
        ({"done": -1, "total": 10, "per_second": None, "left_s": None, "note": ""}, "ok [..........] 0% of 10"),
    ],
)  # fmt: skip
def test_progress_is_a_bar_behind_the_health(progress: dict[str, Any], shown: str) -> None:
    [_, line] = lines(status(job("load", "running", progress=progress)))
    assert cells(line)[-1] == shown


GROUPS = SAMPLE | {
    "groups": [
        {"name": "pipeline", "state": "running", "health": "ok", "restarts": 0},
        {"name": "shop", "state": "failed", "health": "failing", "restarts": 12},
    ]
}


def test_groups_have_a_table_of_their_own_below_the_jobs() -> None:
    shown = lines(GROUPS | {"warnings": ["history not writable"]})
    assert shown[: len(lines(SAMPLE))] == lines(SAMPLE)
    assert shown[len(lines(SAMPLE)) :] == [
        "",
        "GROUP     STATE    RESTARTS  HEALTH",
        "pipeline  running  0         ok",
        "shop      failed   12        failing: gave up, until `jobvisor start shop`",
        "warning: history not writable",
    ]


def test_groups_on_a_narrow_terminal_lose_their_restarts_first() -> None:
    shown = lines(GROUPS, width=32)[-3:]
    assert [cells(line) for line in shown] == [
        ["GROUP", "STATE", "HEALTH"],
        ["pipeline", "running", "ok"],
        ["shop", "failed", "failing: gav…"],
    ]


def test_the_health_of_groups_is_coloured_too() -> None:
    assert lines(GROUPS, coloured=True)[-1].endswith("\x1b[31mfailing: gave up, until `jobvisor start shop`\x1b[0m")
