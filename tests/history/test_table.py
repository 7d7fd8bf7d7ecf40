from datetime import timedelta
from pathlib import Path

from samples import BOOM, NOON, closed, opened, write

from supervisor.core.exits import ErrorRecord, Usage
from supervisor.core.runs import Closed, NotRun, Outcome, Record, SlotId
from supervisor.history import query
from supervisor.history.table import ERRORS, RUNS, error_cells, run_cells


def cells(tmp_path: Path, *records: Record) -> list[dict[str, str]]:
    write(tmp_path / "history.db", *records)
    return [dict(zip(RUNS, row, strict=True)) for row in run_cells(query.runs(tmp_path / "history.db"))]


def test_a_good_run_reads_as_a_line(tmp_path: Path) -> None:
    usage = Usage(cpu=timedelta(milliseconds=340), max_rss=24 << 20)
    [row] = cells(tmp_path, closed(7, usage=usage, exit_code=0))
    assert row == {
        "ID": "7",
        "JOB": "feed",
        "DUE": "2026-12-01 12:00:00Z",
        "STARTED": "2026-12-01 11:59:58Z",
        "DURATION": "2s",
        "OUTCOME": "ok",
        "ATTEMPT": "1",
        "CPU": "340ms",
        "RSS": "24M",
        "ERROR": "-",
    }


def test_a_run_without_an_end_is_running(tmp_path: Path) -> None:
    [row] = cells(tmp_path, opened(1, due_at=None))
    assert (row["DUE"], row["DURATION"], row["OUTCOME"], row["ERROR"]) == ("-", "-", "running", "-")


def test_the_error_says_why(tmp_path: Path) -> None:
    many_lines = ErrorRecord(type="OSError", message="first\nsecond")
    rows: list[Closed | NotRun] = [
        closed(1, Outcome.FAILED, exit_code=1, error=BOOM),
        closed(2, Outcome.FAILED, exit_code=1, error=many_lines),
        closed(3, Outcome.FAILED, exit_code=3),
        closed(4, Outcome.KILLED, signal=9),
        closed(5, Outcome.FAILED, reason="exec: No such file or directory"),
        NotRun(run=opened(6).run, at=NOON, outcome=Outcome.SKIPPED, reason="run 5 since 12:05:00"),
        closed(7, Outcome.STOPPED),
    ]
    said = {row["ID"]: row["ERROR"] for row in cells(tmp_path, *rows)}
    assert said == {
        "1": "ValueError feed.py:42: boom",
        "2": "OSError: first",
        "3": "exit 3",
        "4": "SIGKILL",
        "5": "exec: No such file or directory",
        "6": "run 5 since 12:05:00",
        "7": "-",
    }


def test_an_instance_is_named_where_there_are_several(tmp_path: Path) -> None:
    rows = cells(tmp_path, closed(1), closed(2, slot=SlotId("web")), closed(3, slot=SlotId("web", 2)))
    assert [row["JOB"] for row in rows] == ["web:2", "web:1", "feed"]


def test_sizes_are_short(tmp_path: Path) -> None:
    sizes = (512, 2048, 1536 << 20, 3 << 40)
    rows = cells(tmp_path, *(closed(n, usage=Usage(max_rss=size)) for n, size in enumerate(sizes, 1)))
    assert [row["RSS"] for row in reversed(rows)] == ["512B", "2K", "2G", "3T"]


def test_groups_of_failures_read_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    later = NOON + timedelta(hours=1)
    write(
        path,
        closed(1, Outcome.FAILED, error=BOOM),
        closed(2, Outcome.FAILED, error=BOOM, ended_at=later),
        closed(3, Outcome.KILLED, signal=11),
    )
    assert [dict(zip(ERRORS, row, strict=True)) for row in error_cells(query.errors(path))] == [
        {
            "JOB": "feed",
            "COUNT": "2",
            "FIRST": "2026-12-01 12:00:00Z",
            "LAST": "2026-12-01 13:00:00Z",
            "RUN": "2",
            "ERROR": "ValueError feed.py:42",
            "MESSAGE": "boom",
        },
        {
            "JOB": "feed",
            "COUNT": "1",
            "FIRST": "2026-12-01 12:00:00Z",
            "LAST": "2026-12-01 12:00:00Z",
            "RUN": "3",
            "ERROR": "SIGSEGV",
            "MESSAGE": "-",
        },
    ]
