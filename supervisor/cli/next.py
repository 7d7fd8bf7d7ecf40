"""``jobvisor next``."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice

import click

from supervisor import clock
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.cli.table import aligned
from supervisor.core.durations import parse_duration
from supervisor.core.job import Job
from supervisor.core.schedule import Cron, Delay, Every, Reboot, Schedule, ScheduleError, next_due, parse_cron, zone
from supervisor.errors import JobvisorError
from supervisor.load import load
from supervisor.localzone import local_zone

SHORTEST = timedelta(milliseconds=100)
"""As of ``every`` in the manifest."""


class NextCommand(click.Command):
    """Takes a word such as ``-5 * * * *`` for the expression, although it starts as an option does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line with such a word moved behind ``--``, to be judged as a schedule."""
        valued = {
            name for each in self.params if isinstance(each, click.Option) and not each.is_flag for name in each.opts
        }
        words, expressions = list[str](), list[str]()
        rest = iter(args)
        for word in rest:
            if word == "--":
                break
            if word in valued:
                words += [word, *islice(rest, 1)]
            elif _LIKE_AN_OPTION.match(word) and not valued & {word[:2], word.partition("=")[0]}:
                expressions.append(word)
            else:
                words.append(word)
        return super().parse_args(ctx, [*words, "--", *expressions, *rest])


_LIKE_AN_OPTION = re.compile(r"-([\d*,/-]*[\d*,/]|.*\s)")
"""No option is written with a digit, a star or a blank."""


@jobvisor(name="next", cls=NextCommand)
@click.argument("expression", required=False, metavar="[EXPR]")
@click.option("--every", metavar="DURATION", help="An interval, counted from --after.")
@click.option("--timezone", metavar="TZ", help='IANA name or "local"; UTC where not given.')
@click.option("--after", metavar="TIME", help="ISO 8601; now where not given, in --timezone where without offset.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many.")
@as_json
def command(  # its options
    place: Place,
    expression: str | None,
    every: str | None,
    timezone: str | None,
    after: str | None,
    count: int,
    as_json: bool,
) -> int:
    """Print the coming due times of a cron expression, of an interval, or of the manifest's jobs.

    Exits 1 with the reason where an expression, duration or zone is rejected.
    """
    if expression is not None and every is not None:
        raise click.UsageError("give an expression or --every, not both")
    try:
        place_zone = local_zone(os.environ) if timezone == "local" else zone("UTC" if timezone is None else timezone)
        start = _instant(after, place_zone)
        if expression is None and every is None:
            return _of_jobs(place, start, count, as_json=as_json)
        schedule = _schedule(expression, every, start, place_zone)
    except ValueError as error:
        raise JobvisorError(str(error)) from error
    times = [at.astimezone(place_zone).isoformat() for at in _coming(schedule, start, count)]
    print(json.dumps(times) if as_json else "\n".join(times))
    return 0


def _instant(text: str | None, place_zone: tzinfo) -> datetime:
    if text is None:
        return clock.now().wall
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f'--after "{text}" is not a time: expected ISO 8601, such as 2026-03-28T12:00:00+00:00'
        ) from error
    return (at if at.tzinfo is not None else at.replace(tzinfo=place_zone)).astimezone(UTC)


def _schedule(expression: str | None, every: str | None, start: datetime, place_zone: tzinfo) -> Schedule:
    if every is not None:
        try:
            interval = parse_duration(every)
        except ValueError as error:
            raise ValueError(f'--every "{every}": {error}') from error
        if interval < SHORTEST:
            raise ValueError(f'--every "{every}": an interval is at least 100ms')
        return Every(interval=interval, anchor=start)
    assert expression is not None
    try:
        schedule = parse_cron(expression, place_zone)
    except ScheduleError as error:
        raise ValueError(f'"{expression}": {error}') from error
    if isinstance(schedule, Reboot):
        raise ScheduleError("@reboot is due once per boot, not at a time")
    return schedule


def _coming(schedule: Schedule, start: datetime, count: int) -> Iterator[datetime]:
    at: datetime | None = start
    for _ in range(count):
        assert at is not None
        at = next_due(schedule, at)
        if at is None:
            return
        yield at


def _of_jobs(place: Place, start: datetime, count: int, *, as_json: bool) -> int:
    """Print the coming due times of all scheduled jobs, soonest first; an ``every`` counts from now on."""
    found: list[tuple[datetime, Job]] = []
    for job in load(place.path(), os.environ).jobs:
        schedule = job.schedule
        if schedule is None or not job.enabled or isinstance(schedule, Delay):
            continue
        if isinstance(schedule, Every) and not schedule.align_clock:
            schedule = Every(interval=schedule.interval, offset=schedule.offset, anchor=start)
        found += ((at, job) for at in _coming(schedule, start, count))
    found.sort(key=lambda each: each[0])
    rows = [(_local(at, job).isoformat(), job.name) for at, job in found[:count]]
    if as_json:
        print(json.dumps([{"job": name, "due_at": at} for at, name in rows]))
    else:
        print("\n".join(aligned(("DUE", "JOB"), rows)))
    return 0


def _local(at: datetime, job: Job) -> datetime:
    return at.astimezone(job.schedule.zone) if isinstance(job.schedule, Cron) else at
