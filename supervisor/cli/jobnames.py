"""Names of jobs on a command line, and how a shell completes them."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from supervisor.cli.place import Place
from supervisor.errors import JobvisorError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

ANSWER_WITHIN = 1.0
"""Seconds for which a person who has pressed TAB waits for the supervisor."""


class Scaled(click.types.StringParamType):
    """``NAME=N``: the name of a job and how many instances of it are wanted."""

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  # click's
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Return the jobs that begin so, each with the number that it has; behind the sign there is nothing to say."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when TAB was pressed

        given = _given(ctx)
        jobs = _jobs(given)
        counts = Counter(job["name"] for job in jobs)
        typed = {change.partition("=")[0] for change in given.get("changes") or ()}
        return [
            CompletionItem(f"{name}={count}", help=f"has {count}")
            for name, count in counts.items()
            if f"{name}={count}".startswith(incomplete) and name not in typed
        ]


class JobName(click.types.StringParamType):
    """The name of a job, as it is typed; whether there is such a job the supervisor says."""

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  # click's
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Return the jobs that begin so; their instances once the name and its colon are there."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when TAB was pressed

        given = _given(ctx)
        jobs = _jobs(given)
        labels = {f"{job['name']}:{job['instance']}" if ":" in incomplete else job["name"]: job for job in jobs}
        typed = set(given.get("names") or ())
        return [
            CompletionItem(label, help=job.get("state"))
            for label, job in labels.items()
            if label.startswith(incomplete) and label not in typed
        ]


def _given(ctx: click.Context) -> dict[str, Any]:
    """Return what the command line says so far, before the command's name and behind it."""
    return {**ctx.find_root().params, **{name: value for name, value in ctx.params.items() if value}}


def _jobs(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the jobs as the supervisor knows them, else the manifest; none where neither can tell."""
    place = Place(given.get("manifest"), given.get("socket"))
    try:
        with place.connect() as client:
            jobs: list[dict[str, Any]] = client.ask("status", {}, ANSWER_WITHIN)["jobs"]
    except JobvisorError:
        return _written(place)
    return jobs


def _written(place: Place) -> list[dict[str, Any]]:
    import os  # noqa: PLC0415  # only without a supervisor, as the next

    from supervisor.load import load  # noqa: PLC0415

    try:
        jobs = load(place.path(), os.environ).jobs
    except JobvisorError:
        return []
    return [{"name": job.name, "instance": number} for job in jobs for number in range(1, job.instances + 1)]
