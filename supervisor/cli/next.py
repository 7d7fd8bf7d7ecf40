"""``jobvisor next``."""

import heapq
import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, repeat
from operator import itemgetter

import click

from supervisor import clock
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.instants import instant
from supervisor.cli.job_times import JobTimes, after, named
from supervisor.cli.place import Place
from supervisor.cli.table import aligned
from supervisor.core.durations import parse_duration
from supervisor.core.job import Job
from supervisor.core.schedule import Cron, Every, Reboot, Schedule, ScheduleError, parse_cron, zone
from supervisor.errors import JobvisorError, WrongUsageError
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
@click.argument("words", nargs=-1, metavar="[EXPR | NAME...]")
@click.option("--every", metavar="DURATION", help="An interval, counted from --after.")
@click.option("--timezone", metavar="TZ", help='IANA name or "local"; UTC where not given.')
@click.option(
    "--after", "after_text", metavar="TIME", help="ISO 8601; now where not given, in --timezone where without offset."
)
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many.")
@as_json
def command(  # its options
    place: Place,
    words: tuple[str, ...],
    every: str | None,
    timezone: str | None,
    after_text: str | None,
    count: int,
    as_json: bool,
) -> int:
    """Print the coming due times of a cron expression, of an interval, or of the manifest's jobs.

    Exits 1 with the reason where an expression, duration or zone is rejected. A job's grid is the one that the record
    of runs has saved; one that was never seen begins at --after. As JSON the times of an expression or an interval
    are a list of strings, those of jobs a list of {"job", "due_at"}.
    """
    if words and every is not None:
        raise click.UsageError("give an expression or --every, not both")
    try:
        place_zone = local_zone(os.environ) if timezone == "local" else zone("UTC" if timezone is None else timezone)
    except ScheduleError as error:
        raise JobvisorError(str(error)) from error
    start = clock.now().wall if after_text is None else _after(after_text, place_zone)
    schedule: Schedule
    if every is not None:
        schedule = _interval(every, start)
    else:
        jobs = named(place, words, start)
        if jobs is not None:
            return _show(jobs, count, as_json=as_json)
        schedule = _expression(words[0], place_zone)
    times = [_shown(at, place_zone) for at in islice(after(schedule, start), count)]
    print(json.dumps(times) if as_json else "\n".join(times))
    return 0


def _after(text: str, place_zone: tzinfo) -> datetime:
    try:
        return instant("--after", text, place_zone)
    except WrongUsageError as error:
        raise JobvisorError(str(error)) from error  # what `next` cannot read is its answer, and never wrong usage


def _interval(text: str, start: datetime) -> Every:
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise JobvisorError(f'--every "{text}": {error}') from error
    if interval < SHORTEST:
        raise JobvisorError(f'--every "{text}": an interval is at least 100ms')
    return Every(interval=interval, anchor=start)


def _expression(text: str, place_zone: tzinfo) -> Cron:
    try:
        schedule = parse_cron(text, place_zone)
    except ScheduleError as error:
        raise JobvisorError(f'"{text}": {error}') from error
    if isinstance(schedule, Reboot):
        raise JobvisorError("@reboot is due once per boot, not at a time")
    return schedule


def _show(jobs: Sequence[JobTimes], count: int, *, as_json: bool) -> int:
    """Print the coming due times of jobs, soonest first."""
    merged = heapq.merge(*(zip(each.times, repeat(each)) for each in jobs), key=itemgetter(0))
    rows = [(_shown(at, _place(each.job)), each) for at, each in islice(merged, count)]
    if as_json:
        print(json.dumps([{"job": each.job.name, "due_at": at} for at, each in rows]))
    else:
        named = [(at, f"{each.job.name} ({each.out})" if each.out else each.job.name) for at, each in rows]
        print("\n".join(aligned(("DUE", "JOB"), named)))
    return 0


def _place(job: Job) -> tzinfo:
    return job.schedule.zone if isinstance(job.schedule, Cron) else UTC


def _shown(at: datetime, place_zone: tzinfo) -> str:
    """Return an instant with the offset of a zone; in UTC where the zone's calendar has ended before."""
    try:
        return at.astimezone(place_zone).isoformat()
    except OverflowError:
        return at.isoformat()
