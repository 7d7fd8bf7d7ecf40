"""Tables and words for a terminal, made of what the supervisor answers. Text in, text out."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

HEADERS = ("NAME", "STATE", "PID", "UP/AGO", "RUNS", "FAIL", "CPU", "RSS", "LAST", "NEXT", "HEALTH")
GROUP_HEADERS = ("GROUP", "STATE", "RESTARTS", "HEALTH")
_DISPENSABLE = ("RSS", "CPU", "FAIL", "RUNS", "UP/AGO", "PID", "LAST", "NEXT", "RESTARTS")
"""Columns in the order in which a narrow terminal does without them."""
LEAST_LAST = 10
"""Characters of the last column, HEALTH say, for which there is always room."""
_COLOURS = {"ok": 32, "starting": 36, "stopped": 90, "failing": 31, "late": 33, "unhealthy": 31, "hung": 31}
BAR = 10
"""Characters of a bar."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def short(seconds: float) -> str:
    """Return a length of time, as exact as one wants to read it: ``3s``, ``4m57s``, ``12m``, ``1h5m``, ``2d4h``."""
    whole = max(0, int(seconds))
    if whole >= 600:
        whole -= whole % 60
    for (size, unit), (lesser, lesser_unit) in zip(_UNITS, (*_UNITS[1:], (1, "")), strict=True):
        count, rest = divmod(whole, size)
        if count:
            return f"{count}{unit}" + (f"{rest // lesser}{lesser_unit}" if rest >= lesser else "")
    return "0s"


def ago(seconds: float) -> str:
    """Return how long ago something was, in one unit: ``3s``, ``5m``, ``2d``."""
    whole = max(0, int(seconds))
    size, unit = next((each for each in _UNITS if whole >= each[0]), _UNITS[-1])
    return f"{whole // size}{unit}"


def size(count: float | None) -> str:
    """Return bytes as ``24M``."""
    if count is None:
        return "-"
    for unit in "BKMG":
        if count < 1024:
            return f"{count:.0f}{unit}" if count >= 10 or unit in "BK" else f"{count:.1f}{unit}"
        count /= 1024
    return f"{count:.1f}T"


def one_line(text: str) -> str:
    """Return a text without what would break a line or command a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def status_lines(status: dict[str, Any], now: float, *, width: int | None = None, coloured: bool = False) -> list[str]:
    """Return the table of ``status``, that of the groups where there are any, and the warnings.

    ``now`` is in seconds since the epoch. Where a terminal is ``width`` columns wide, columns that tell least are left
    out until there is room for the health, which is cut to fit. Behind it stand the descriptions of the
    manifest, as far as there is room.
    """
    jobs, groups = status["jobs"], status["groups"]
    several = {job["name"] for job in jobs if job["instance"] > 1}
    rows = [_row(job, job["name"] in several, now) for job in jobs]
    beside = _beside([status.get("descriptions", {}).get(job["name"], "") for job in jobs])
    lines = _table(HEADERS, rows, jobs, beside, width=width, coloured=coloured)
    if groups:
        lines += ["", *_table(GROUP_HEADERS, list(map(_group_row, groups)), groups, width=width, coloured=coloured)]
    return [*lines, *(f"warning: {one_line(warning)}" for warning in status["warnings"])]


def _table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    told: Sequence[dict[str, Any]],
    beside: Sequence[str] = (),
    *,
    width: int | None,
    coloured: bool,
) -> list[str]:
    """Return a table whose last column is the health of what each row tells of; texts ``beside`` it follow that."""
    heads = _heads(headers, rows, width, _DISPENSABLE)
    lines = [cut(f"{head}  {row[-1]}", width) for head, row in zip(heads, (headers, *rows), strict=True)]
    longest = max(map(len, lines)) + 2
    behind = [""] * len(lines)
    if beside and (width is None or longest + LEAST_LAST <= width):
        behind = [
            " " * (longest - len(line)) + cut(text, None if width is None else width - longest) if text else ""
            for line, text in zip(lines, beside, strict=True)
        ]
    if coloured:
        lines[1:] = [
            f"{line[: len(head) + 2]}\x1b[{_COLOURS.get(each['health'], 0)}m{line[len(head) + 2 :]}\x1b[0m"
            if len(line) > len(head) + 2
            else line
            for head, line, each in zip(heads[1:], lines[1:], told, strict=True)
        ]
    return [line + text for line, text in zip(lines, behind, strict=True)]


def _beside(descriptions: Sequence[str]) -> list[str]:
    """Return a column of descriptions with its head; none where there are none."""
    return ["DESCRIPTION", *map(one_line, descriptions)] if any(descriptions) else []


def fitted(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, dispensable: Sequence[str]
) -> list[str]:
    """Return the lines of a table that a terminal ``width`` columns wide does not break.

    Columns are left out in the order of ``dispensable`` until there is room for the last one, which is cut to fit.
    """
    heads = _heads(headers, rows, width, dispensable)
    return [cut(f"{head}  {row[-1]}".rstrip(), width) for head, row in zip(heads, (headers, *rows), strict=True)]


def cut(line: str, width: int | None) -> str:
    """Return a line that fits a terminal so wide."""
    return line if width is None or len(line) <= width else line[: max(1, width - 1)] + "…"


def terminal_width() -> int | None:
    """Return the columns of the terminal that stdout is; None where it is none, and a line may be as long as it is."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return (os.get_terminal_size(sys.stdout.fileno()).columns or None) if is_terminal else None


def _heads(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, dispensable: Sequence[str]
) -> list[str]:
    """Return the lines without their last column, in as many columns as a terminal so wide has room for."""
    columns, heads = list(headers[:-1]), []
    for dropped in (None, *(each for each in dispensable if each in headers)):
        if dropped is not None:
            columns.remove(dropped)
        places = [headers.index(column) for column in columns]
        heads = aligned(columns, [[row[place] for place in places] for row in rows], filled=True)
        if width is None or len(heads[0]) + 2 + LEAST_LAST <= width:
            break
    return heads


def _row(job: dict[str, Any], is_one_of_several: bool, now: float) -> tuple[str, ...]:
    last, next_due = job["last"], job["next_due_at"]
    return (
        f"{job['name']}:{job['instance']}" if is_one_of_several else job["name"],
        job["state"],
        str(job["pid"] or "-"),
        _since(job, now),
        str(job["runs"]),
        str(job["failures"]),
        "-" if job["cpu_percent"] is None else f"{job['cpu_percent']:.0f}%",
        size(job["rss_bytes"]),
        f"{ending(last)} {ago(now - _seconds(last['ended_at']))} ago" if last and last["ended_at"] else "-",
        f"in {short(_seconds(next_due) - now)}" if next_due else "-",
        one_line(f"{job['health']}: {job['reason']}" if job["reason"] else job["health"]) + _bar(job["progress"]),
    )


def _group_row(group: dict[str, Any]) -> tuple[str, ...]:
    gave_up = f": gave up, until `jobvisor start {group['name']}`" if group["state"] == "failed" else ""
    return group["name"], group["state"], str(group["restarts"]), group["health"] + gave_up


def _bar(progress: dict[str, Any] | None) -> str:
    """Return how far a run says it is: `` [####......] 42% of 1,000, 12/s, 48s left: loading``."""
    if progress is None:
        return ""
    done, total = progress["done"], progress["total"]
    if total:
        share = min(1.0, max(0.0, done / total))
        filled = int(share * BAR)
        said = [f" [{'#' * filled}{'.' * (BAR - filled)}] {int(share * 100)}% of {_figure(total)}"]
    else:
        said = [f" {_figure(done)} done"]
    if progress["per_second"] is not None:
        said.append(f"{_figure(progress['per_second'])}/s")
    if progress["left_s"] is not None:
        said.append(f"{short(progress['left_s'])} left")
    return ", ".join(said) + (f": {one_line(progress['note'])}" if progress["note"] else "")


def _figure(number: float) -> str:
    """Return a number as short as it reads well: ``1,000``, ``12``, ``2.5``, ``0.013``."""
    if isinstance(number, int) or abs(number) >= 10:
        return f"{number:,.0f}"
    return f"{number:.2g}"


def _since(job: dict[str, Any], now: float) -> str:
    """Return how long a process is up, or how long ago a waiting job last ran."""
    last = job["last"]
    if job["state"] in {"running", "stopping", "starting"} and job["uptime_s"] is not None:
        return short(job["uptime_s"])
    if job["state"] in {"waiting", "paused"} and last and last["ended_at"]:
        return ago(now - _seconds(last["ended_at"]))
    return "-"


def ending(last: dict[str, Any]) -> str:
    """Return how a run ended in a word or two: ``ok``, ``exit 1``, ``SIGKILL``, ``timeout``."""
    outcome: str = last["outcome"]
    if outcome == "failed" and last["exit_code"] is not None:
        return f"exit {last['exit_code']}"
    if outcome == "killed" and last["signal"]:
        return str(last["signal"])
    return outcome


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]], *, filled: bool = False) -> list[str]:
    """Return lines of columns as wide as their content; ``filled`` keeps the blanks at their ends."""
    table = [headers, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    lines = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)) for row in table]
    return lines if filled else [line.rstrip() for line in lines]


def _seconds(text: str) -> float:
    """Return an ISO 8601 UTC time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
