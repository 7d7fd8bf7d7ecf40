"""``jobvisor exec``."""

import os

import click

from supervisor import solo
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.names import Unmatched, select, several
from supervisor.errors import NoSuchJobError, WrongUsageError
from supervisor.load import load


@jobvisor(name="exec")
@click.argument("name")
def command(place: Place, name: str) -> int:
    """Run a job once, here in the foreground: with the environment, the user and the limits that the manifest gives it.

    Needs no supervisor, and tells none: no history, no retries, no time-out; its output is shown and not kept. A
    Worker with a schedule gets one tick(), one without lives until Ctrl-C. Of several instances NAME is the first,
    NAME:2 the second.

    The exit code is the run's, 128 + n after signal n, 1 where it could not be started. Ctrl-C reaches the job; a
    second one kills it.
    """
    manifest = load(place.path(), os.environ)
    job, instance = _chosen(manifest, name)
    return solo.run(manifest, job, instance, os.environ)


def _chosen(manifest: Manifest, name: str) -> tuple[Job, int]:
    slots = {job.label(number): (job, number) for job in manifest.jobs for number in range(1, job.instances + 1)}
    chosen = select([name], tuple(slots))
    if isinstance(chosen, Unmatched):
        raise NoSuchJobError(str(chosen))
    found = [slots[label] for label in chosen]
    if any(job is not found[0][0] for job, _ in found):
        raise WrongUsageError(several(list(dict.fromkeys(job.name for job, _ in found))))
    return found[0]
