"""The rows of ``history`` and ``errors`` as the cells of a table, made of what ``query`` returns."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from supervisor.core.durations import format_duration

RUNS = ("ID", "JOB", "DUE", "STARTED", "DURATION", "OUTCOME", "ATTEMPT", "CPU", "RSS", "ERROR")
ERRORS = ("JOB", "COUNT", "FIRST", "LAST", "RUN", "ERROR", "MESSAGE")
NARROW_RUNS = ("CPU", "RSS", "ATTEMPT", "DUE", "DURATION", "ID", "STARTED")
NARROW_ERRORS = ("FIRST", "RUN", "LAST", "COUNT")
"""Columns in the order in which a narrow terminal does without them."""
UNKNOWN = "-"


def run_cells(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells under ``RUNS``; an instance is named where its job has several among these rows."""
    several = {run["job"] for run in runs if run["instance"] > 1}
    return [
        (
            str(run["run_id"]),
            f"{run['job']}:{run['instance']}" if run["job"] in several else run["job"],
            _at(run["due_at"]),
            _at(run["started_at"]),
            _duration(run["duration_s"]),
            run["outcome"] or ("running" if run["ended_at"] is None else UNKNOWN),
            str(run["attempt"]),
            _duration(run["cpu_s"]),
            _size(run["max_rss_bytes"]),
            _cause(run),
        )
        for run in runs
    ]


def error_cells(errors: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells under ``ERRORS``."""
    return [
        (
            error["job"],
            str(error["count"]),
            _at(error["first_at"]),
            _at(error["last_at"]),
            str(error["last_run_id"]),
            _brief(error) if error["type"] else _kind(error),
            _line(error["message"]).removeprefix(f"{_kind(error)}: "),
        )
        for error in errors
    ]


def _cause(run: Mapping[str, Any]) -> str:
    """Return why a run ended as it did: exception, reason, signal or exit code; a good end needs none."""
    if run["error"] is not None:
        return f"{_brief(run['error'])}: {_line(run['error']['message'])}"
    if run["reason"]:
        return _line(run["reason"])
    if run["outcome"] in {None, "ok"}:
        return UNKNOWN
    if run["signal"]:
        return str(run["signal"])
    return UNKNOWN if run["exit_code"] is None else f"exit {run['exit_code']}"


def _brief(error: Mapping[str, Any]) -> str:
    """Return ``ValueError importer.py:42``."""
    if error["file"] is None:
        return str(error["type"])
    return f"{error['type']} {error['file'].rpartition('/')[2]}:{error['line']}"


def _kind(error: Mapping[str, Any]) -> str:
    """Return what kind of failure it is that is no exception; what it says stands as its message."""
    fingerprint: str = error["fingerprint"]
    return fingerprint.partition(": ")[0] if fingerprint == error["message"] else fingerprint


def _line(text: str | None) -> str:
    """Return the first line of a text that may have many, or none."""
    lines = (text or "").strip().splitlines()
    return lines[0] if lines else UNKNOWN


def _at(instant: str | None) -> str:
    """Return ``2026-12-01 10:00:00Z`` of an ISO instant in UTC."""
    return UNKNOWN if instant is None else f"{instant[:10]} {instant[11:19]}Z"


def _duration(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else format_duration(timedelta(seconds=seconds))


def _size(size: int | None) -> str:
    """Return bytes as ``24M``, 1024-based."""
    if size is None:
        return UNKNOWN
    for unit in ("B", "K", "M", "G"):
        if size < 1024:
            return f"{size}{unit}"
        size = round(size / 1024)
    return f"{size}T"
