"""``jobvisor forecast``."""

import json
import os
import shutil
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import click

from supervisor import clock
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.forecast_view import FEW, as_mapping, lines
from supervisor.cli.groups import groups_of
from supervisor.cli.instants import instant
from supervisor.cli.place import Place
from supervisor.core.board import Rules
from supervisor.core.durations import parse_duration
from supervisor.core.forecast import Known, foresee
from supervisor.core.manifest import Manifest
from supervisor.core.names import Unmatched, select
from supervisor.core.schedule import zone
from supervisor.errors import NoSuchJobError, WrongUsageError
from supervisor.history import query
from supervisor.load import load
from supervisor.localzone import local_zone
from supervisor.statedir import boot_id


@jobvisor(name="forecast")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--for", "span", default="7d", show_default=True, metavar="DURATION", help="How far to look.")
@click.option("--at", metavar="TIME", help="From when on: ISO 8601, in the manifest's timezone where without offset.")
@click.option("-n", "count", type=click.IntRange(min=0), default=FEW, show_default=True, help="How many runs to list.")
@as_json
def command(  # its options
    place: Place, names: tuple[str, ...], span: str, at: str | None, count: int, as_json: bool
) -> int:
    """Simulate the manifest: coming runs, overlaps, the most at once, days without a run, daylight saving.

    The same core that schedules the jobs runs here on a virtual clock. A run takes as long as its job's last good ones
    did (the median of 100), 1s where there are none. Names choose what is shown; all jobs are simulated. Needs no
    running supervisor.
    """
    manifest = load(place.path(), os.environ)
    shown = _chosen(manifest, names)
    home = _zone(manifest)
    now = clock.now().wall
    since = now if at is None else instant("--at", at, home)
    try:
        until = since + _duration(span)
    except OverflowError:
        raise WrongUsageError(f'--for "{span}": ends behind the year 9999') from None
    known = _known(manifest, now)
    settings = manifest.settings
    rules = Rules(root=settings.root_limit, max_running=settings.max_running)
    forecast = foresee(manifest.jobs, known if at is None else known.as_of(since), rules, since, until)
    if as_json:
        print(json.dumps(as_mapping(forecast, home, shown, known.lengths), indent=2))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(lines(forecast, home, shown, known.lengths, count=count, width=width)))
    return 0


def _chosen(manifest: Manifest, names: tuple[str, ...]) -> frozenset[str]:
    jobs, groups = [job.name for job in manifest.jobs], groups_of(manifest)
    chosen = select(names, jobs, groups, tuple(groups)) if names else jobs
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(str(chosen))
    return frozenset(chosen)


def _zone(manifest: Manifest) -> tzinfo:
    name = manifest.settings.timezone
    return local_zone(os.environ) if name == "local" else zone(name)


def _duration(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise WrongUsageError(f'--for "{text}": {error}') from error
    if not span:
        raise WrongUsageError(f'--for "{text}": must be more than zero')
    return span


def _known(manifest: Manifest, now: datetime) -> Known:
    """Return what the record of runs tells; without one, all jobs are new."""
    path = Path(manifest.settings.state_dir, "history.db")
    past = query.recovered(path, now, lambda said: print(f"warning: {said}", file=sys.stderr))
    return Known(
        saved=past.saved,
        lengths=query.median_durations(path, [job.name for job in manifest.jobs if job.schedule is not None]),
        seed=past.installation,
        boot=boot_id(),
    )
