"""``jobvisor logs``."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import click

from supervisor import clock
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.durations import parse_duration
from supervisor.core.names import Unmatched, select
from supervisor.errors import JobvisorError, NoSuchJobError
from supervisor.history import query
from supervisor.logs.reader import Line, Wish, follow, labels, last


@jobvisor(name="logs", manifest_flags=("--file",))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "count", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="How many lines.")
@click.option("--run", "run_id", type=int, metavar="ID", help="Those of one run.")
@click.option("--since", metavar="TIME", help='ISO 8601, or a duration ago such as "1h".')
@click.option("--grep", metavar="RE", help="Those that a regular expression finds.")
@as_json
def command(  # its options
    place: Place,
    names: tuple[str, ...],
    following: bool,
    count: int,
    run_id: int | None,
    since: str | None,
    grep: str | None,
    as_json: bool,
) -> int:
    """Show the output of jobs, merged in time order. Needs no running supervisor."""
    folders = place.folders()
    log_dir = Path(folders["log_dir"])
    until: datetime | None = None
    start = _instant(since) if since is not None else None
    if run_id is not None:
        run = query.run(Path(folders["history"]), run_id)
        if run is None:
            raise NoSuchJobError(f"no run {run_id} is recorded")
        wanted = [run["job"] if run["instance"] == 1 else f"{run['job']}:{run['instance']}"]
        start = _parsed(run["started_at"])
        until = _parsed(run["ended_at"])
    else:
        chosen = select(names or ("*",), labels(log_dir)) if names or labels(log_dir) else []
        if isinstance(chosen, Unmatched):
            raise NoSuchJobError(f"{chosen.name}: no output of it in {log_dir}")
        wanted = chosen
    wish = Wish(n=count, since=start, grep=_pattern(grep))
    for line in last(log_dir, wanted, wish):
        if until is None or line.at is None or line.at <= until:
            _show(line, several=len(wanted) > 1, as_json=as_json)
    if following:
        for line in follow(log_dir, wanted, wish):
            _show(line, several=len(wanted) > 1, as_json=as_json)
    return 0


def _show(line: Line, *, several: bool, as_json: bool) -> None:
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if line.at else None
    if as_json:
        click.echo(json.dumps({"job": line.label, "at": at, "stream": line.stream, "text": line.text}))
        return
    click.echo(" ".join(part for part in (at, f"{line.label} |" if several else None, line.text) if part is not None))


def _instant(text: str) -> datetime:
    try:
        return clock.now().wall - parse_duration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise JobvisorError(f'--since "{text}" is neither a time (ISO 8601) nor a duration such as "1h"') from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text is not None else None
    except re.error as error:
        raise JobvisorError(f'--grep "{text}" is not a regular expression: {error}') from error
