"""``jobvisor logs``."""

import json
import os
import re
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import click

from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.groups import groups_at
from supervisor.cli.instants import past
from supervisor.cli.place import Place
from supervisor.core.job import LogMode
from supervisor.core.names import Unmatched, select
from supervisor.errors import JobvisorError, NoSuchJobError, WrongUsageError
from supervisor.history import query
from supervisor.logs.reader import Line, Wish, follow, labels, last
from supervisor.values import replace

FEW = 20
_LAGGING = timedelta(seconds=1)
"""How long after a run's end its last lines may be written: a loaded log process is behind."""


@jobvisor(name="logs", manifest_flags=("--file",))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "count", type=click.IntRange(min=0), help="How many lines; 20, and all of a --run or --since.")
@click.option("--run", "run_id", type=int, metavar="ID", help="Those of one run.")
@click.option("--since", metavar="TIME", help='ISO 8601, or a duration ago such as "1h".')
@click.option("--grep", metavar="RE", help="Those that a regular expression finds.")
@as_json
def command(  # its options
    place: Place,
    names: tuple[str, ...],
    following: bool,
    count: int | None,
    run_id: int | None,
    since: str | None,
    grep: str | None,
    as_json: bool,
) -> int:
    """Show the output of jobs, merged in time order. Needs no running supervisor.

    Lines of a job whose log has no timestamps keep their order; they are merged with those of other jobs by the time at
    which their file was last written to, and with -f as they come.
    """
    if count is None and run_id is None and since is None:
        count = FEW
    wish = Wish(n=count, since=None if since is None else past(since), grep=_pattern(grep))
    try:
        return _show(place, names, wish, run_id=run_id, following=following, as_json=as_json)
    except PermissionError as error:
        who = "root and the supervisor's own user"
        raise JobvisorError(f"cannot read {error.filename}: {error.strerror}; output is for {who}") from None


def _show(place: Place, names: Sequence[str], wish: Wish, *, run_id: int | None, following: bool, as_json: bool) -> int:
    """Print the lines."""
    folders = place.folders()
    log_dir, history = Path(folders["log_dir"]), Path(folders["history"])
    if run_id is None:
        chosen, is_over = _chosen(place, log_dir, names), None
    else:
        [own, wish], is_over = _of_run(history, run_id, wish), partial(_is_over, history, run_id)
        if names and not own & set(_chosen(place, log_dir, names)):
            raise NoSuchJobError(f"run {run_id} is one of {max(own)}")
        chosen = sorted(own & set(labels(log_dir))) or [min(own)]
    _say_what_is_elsewhere(place, set(chosen) - set(labels(log_dir)))
    lines = follow(log_dir, chosen, wish, with_last=True, is_over=is_over) if following else last(log_dir, chosen, wish)
    for line in lines:
        print(_shown(line, several=len(chosen) > 1, as_json=as_json), flush=following)
    return 0


def _chosen(place: Place, log_dir: Path, names: Sequence[str]) -> list[str]:
    """Return whose lines the names mean: also jobs that have said nothing yet, and removed ones."""
    known = labels(log_dir)
    if not names:
        return known
    meant = [*known, *(label for label in place.labels() if label not in known)]
    chosen = select(names, meant)
    if isinstance(chosen, Unmatched):
        groups = groups_at(place)
        chosen = select(names, meant, groups, tuple(groups))
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(str(chosen))
    return chosen


def _say_what_is_elsewhere(place: Place, without_file: AbstractSet[str]) -> None:
    """Say of jobs whose output is in the journal how to read it there."""
    if not without_file:
        return
    from supervisor.load import load  # noqa: PLC0415  # only for these

    try:
        jobs = load(place.path(), os.environ).jobs
    except JobvisorError:
        return  # the output of a broken manifest's jobs is shown all the same
    for job in jobs:
        if job.log is LogMode.JOURNAL and any(label.partition(":")[0] == job.name for label in without_file):
            print(f"{job.name}: its output is in the journal: journalctl JOBVISOR_JOB={job.name}", file=sys.stderr)


def _of_run(history: Path, run_id: int, wish: Wish) -> tuple[AbstractSet[str], Wish]:
    """Return whose lines, and from when to when, are those of a run: to its end, or to the start of the next.

    The first instance goes by the job's name as long as it is the only one, and its output with it.
    """
    run = query.run(history, run_id)
    if run is None:
        raise NoSuchJobError(f"no run {run_id} is recorded; `jobvisor history` lists them")
    own = f"{run['job']}:{run['instance']}"
    if run["started_at"] is None:
        raise JobvisorError(f"run {run_id} of {own.removesuffix(':1')} never started: {run['outcome']}")
    ended_at = _parsed(run["ended_at"])
    later = (_parsed(row["started_at"]) for row in query.runs(history, jobs=[own]) if row["run_id"] > run_id)
    ends = [at for at in (ended_at and ended_at + _LAGGING, *later) if at is not None]
    since = datetime.fromisoformat(run["started_at"])
    since -= timedelta(microseconds=since.microsecond % 1000)  # the times in the files are cut to milliseconds
    since = since if wish.since is None else max(since, wish.since)
    return {own, own.removesuffix(":1")}, replace(wish, since=since, until=min(ends, default=None))


def _is_over(history: Path, run_id: int) -> bool:
    run = query.run(history, run_id)
    return run is None or run["ended_at"] is not None


def _shown(line: Line, *, several: bool, as_json: bool) -> str:
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if line.at else None
    if as_json:
        return json.dumps({"job": line.label, "at": at, "stream": line.stream, "text": line.text})
    return " ".join(part for part in (at, f"{line.label} |" if several else None, line.text) if part is not None)


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text is not None else None
    except re.error as error:
        raise WrongUsageError(f'--grep "{text}" is not a regular expression: {error}') from error
