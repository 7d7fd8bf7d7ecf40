"""``jobvisor show``."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from supervisor import clock
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.cli.table import LEAST_LAST, aligned, cut, fitted, one_line, short, size, status_lines, terminal_width
from supervisor.core.job import Job
from supervisor.core.names import Unmatched, select, several
from supervisor.core.schedule import Delay, Every, next_due
from supervisor.core.show import settings, upcoming
from supervisor.core.status import iso
from supervisor.errors import JobvisorError, NoSuchJobError, NoSupervisorError, WrongUsageError
from supervisor.history import query, table
from supervisor.load import load

RUNS = 5
INDENT = "  "


@jobvisor(name="show")
@click.argument("name")
@as_json
def command(place: Place, name: str, as_json: bool) -> int:
    """Show everything about one job: settings and where each is written, processes, next times, last runs and error.

    Needs no running supervisor; without one it tells what the manifest and the record of runs say.
    """
    try:
        told = place.ask("show", {"name": name})
    except NoSupervisorError:
        told = _from_files(place, name)
    label = name if ":" in name else told["name"]
    try:
        told |= _records(Path(place.folders()["history"]), label)
    except JobvisorError as error:  # of another user, say, who may ask the supervisor and not read its files
        print(f"warning: {error}", file=sys.stderr)
        told |= {"runs": [], "error": None}
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(_lines(told, terminal_width())))
    return 0


def _records(history: Path, label: str) -> dict[str, Any]:
    """Return the last runs of a job or instance, and its last failure."""
    failed = query.runs(history, jobs=[label], failed=True, limit=1)
    error = query.run(history, failed[0]["run_id"]) if failed else None
    return {"runs": query.runs(history, jobs=[label], limit=RUNS), "error": error}


def _from_files(place: Place, name: str) -> dict[str, Any]:
    jobs = load(place.path(), os.environ).jobs
    labels = {job.label(number): job for job in jobs for number in range(1, job.instances + 1)}
    chosen = select([name], tuple(labels))
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(str(chosen))
    meant = {labels[label].name: labels[label] for label in chosen}
    if len(meant) > 1:
        raise WrongUsageError(several(list(meant)))
    [job] = meant.values()
    return {
        "name": job.name,
        "where": job.where,
        "settings": settings(job),
        "instances": [],
        "next": [iso(at) for at in _next(job)],
    }


def _next(job: Job) -> list[Any]:
    """Return the due times that do not hang on when a supervisor starts."""
    schedule = job.schedule
    if schedule is None or not job.enabled or isinstance(schedule, Delay):
        return []
    if isinstance(schedule, Every) and not schedule.align_clock:
        return []
    return upcoming(schedule, next_due(schedule, clock.now().wall))


def _lines(told: dict[str, Any], width: int | None) -> Iterator[str]:
    """Yield what people read, part by part; tables so that a terminal ``width`` columns wide does not break them."""
    inner = None if width is None else width - len(INDENT)
    yield f"{told['name']} ({told['where']})"
    if told["instances"]:
        about = {"jobs": told["instances"], "groups": [], "warnings": []}
        yield from status_lines(about, time.time(), width=width)
    else:
        yield "no supervisor is running"
    yield from _part("settings", _settings(told["settings"], inner))
    trees = [each["processes"] for each in told["instances"] if each["processes"]]
    yield from _part("processes", [line for tree in trees for line in _tree(tree, 0)])
    yield from _part("cgroup", [_account(each["cgroup"]) for each in told["instances"] if each["cgroup"]])
    yield from _part("next", told["next"])
    runs = fitted(table.RUNS, table.run_cells(told["runs"]), width=inner, dispensable=table.NARROW_RUNS)
    yield from _part("last runs", runs if told["runs"] else [])
    yield from _part("last error", _error(told["error"]))


def _part(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"{INDENT}{line}" for line in lines)


def _settings(settings: Sequence[dict[str, Any]], width: int | None) -> list[str]:
    """Return the table of settings; a narrow terminal is shown the beginnings of long values."""
    rows = [_setting(each) for each in settings]
    if width is not None:
        taken = sum(max(len(row[column]) for row in rows) for column in (0, 2)) + 4
        rows = [(key, cut(value, max(LEAST_LAST, width - taken)), place) for key, value, place in rows]
    return [cut(line, width) for line in aligned(("KEY", "VALUE", "FROM"), rows)]


def _setting(each: dict[str, Any]) -> tuple[str, str, str]:
    value = "-" if each["value"] is None else one_line(json.dumps(each["value"], ensure_ascii=False))
    return each["key"], value, f"{each['origin']} {each['where']}" if each["where"] else each["origin"]


def _tree(process: dict[str, Any], depth: int) -> Iterator[str]:
    up = "-" if process["uptime_s"] is None else short(process["uptime_s"])
    about = f"{process['pid']} {one_line(process['command'] or '?')}"
    yield f"{'  ' * depth}{about}  (up {up}, {size(process['rss_bytes'])})"
    for child in process["children"]:
        yield from _tree(child, depth + 1)


def _account(told: dict[str, Any]) -> str:
    """Return what the kernel has counted: also of what is no longer below the job's own process."""
    several = "1 process" if told["processes"] == 1 else f"{told['processes']} processes"
    throttled = f", held back for {told['throttled_s']:.1f}s" if told["throttled_s"] else ""
    memory = f", memory {size(told['memory_bytes'])}" if told["memory_bytes"] is not None else ""
    peak = f" (at most {size(told['memory_peak_bytes'])})" if told["memory_peak_bytes"] is not None else ""
    return f"{told['path']}: {several}, CPU {told['cpu_s'] or 0.0:.1f}s{throttled}{memory}{peak}"


def _error(run: dict[str, Any] | None) -> list[str]:
    """Return the last failure: how it ended, its traceback, its stacks where it hung, its last lines of output."""
    if run is None:
        return []
    [cells] = table.run_cells([run])
    lines = [f"run {run['run_id']}, {run['outcome']} at {run['ended_at'] or '-'}: {cells[-1]}"]
    lines += (run["traceback"] or "").splitlines()
    if run["stack"]:
        lines += ["stack:", *run["stack"].splitlines()]
    if run["output"]:
        lines += ["output:", *(f"| {line}" for line in run["output"])]
    return lines
