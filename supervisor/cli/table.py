"""Tables and words for a terminal, made of what the supervisor answers. Text in, text out."""

from collections.abc import Sequence
from typing import Any

HEADERS = ("NAME", "STATE", "PID", "UP/AGO", "RUNS", "FAIL", "CPU", "RSS", "LAST", "NEXT", "HEALTH")
_COLOURS = {"ok": 32, "starting": 36, "stopped": 90, "failing": 31, "late": 33, "unhealthy": 31, "hung": 31}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def short(seconds: float) -> str:
    """Return a length of time in two parts at most: ``3s``, ``4m57s``, ``12m``, ``2d4h``."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def ago(seconds: float) -> str:
    """Return a length of time that has passed, in one part from an hour on: the table shows ``12m ago``."""
    text = short(seconds)
    for unit in "dhm":
        head, found, _ = text.partition(unit)
        if found:
            return head + unit
    return text


def size(count: float | None) -> str:
    """Return bytes as ``24M``."""
    if count is None:
        return "-"
    for unit in "BKMGT":
        if count < 1024 or unit == "T":
            return f"{count:.0f}{unit}" if count >= 10 or unit in "BK" else f"{count:.1f}{unit}"
        count /= 1024
    return "-"


def status_rows(jobs: Sequence[dict[str, Any]], now: float, parse: Any) -> list[tuple[str, ...]]:
    """Return a row of cells for each job; ``parse`` turns an ISO 8601 text into seconds since the epoch."""
    several = {job["name"] for job in jobs if job["instance"] > 1}
    return [_row(job, job["name"] in several, now, parse) for job in jobs]


def _row(job: dict[str, Any], is_one_of_several: bool, now: float, parse: Any) -> tuple[str, ...]:
    last, next_due = job["last"], job["next_due_at"]
    name = f"{job['name']}:{job['instance']}" if is_one_of_several else job["name"]
    health = job["health"] + (f": {job['reason']}" if job["reason"] else "")
    return (
        name,
        job["state"],
        str(job["pid"] or "-"),
        _since(job, now, parse),
        str(job["runs"]),
        str(job["failures"]),
        "-" if job["cpu_percent"] is None else f"{job['cpu_percent']:.0f}%",
        size(job["rss_bytes"]),
        f"{ending(last)} {ago(now - parse(last['ended_at']))} ago" if last and last["ended_at"] else "-",
        f"in {short(parse(next_due) - now)}" if next_due else "-",
        health,
    )


def _since(job: dict[str, Any], now: float, parse: Any) -> str:
    """Return how long a process is up, or how long ago a waiting job last ran."""
    last = job["last"]
    if job["state"] in {"running", "stopping", "starting"} and job["uptime_s"] is not None:
        return short(job["uptime_s"])
    if job["state"] in {"waiting", "paused"} and last and last["ended_at"]:
        return ago(now - parse(last["ended_at"]))
    return "-"


def ending(last: dict[str, Any]) -> str:
    """Return how a run ended in a word or two: ``ok``, ``exit 1``, ``SIGKILL``, ``timeout``."""
    outcome: str = last["outcome"]
    if outcome == "failed" and last["exit_code"] is not None:
        return f"exit {last['exit_code']}"
    if outcome == "killed" and last["signal"]:
        return str(last["signal"])
    return outcome


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Return lines of columns as wide as their content; the last column is cut where ``width`` columns end."""
    table = [headers, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    lines = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)).rstrip() for row in table]
    if width is None:
        return lines
    return [line if len(line) <= width else line[: max(1, width - 1)] + "…" for line in lines]


def coloured(line: str, job: dict[str, Any]) -> str:
    """Return a line of the status table with its health in colour."""
    word = job["health"]
    at = line.rfind(f"  {word}")
    if at < 0:
        return line
    return f"{line[: at + 2]}\x1b[{_COLOURS.get(word, 0)}m{line[at + 2 :]}\x1b[0m"
