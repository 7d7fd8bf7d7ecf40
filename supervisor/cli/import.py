"""``jobvisor import``."""

import os
import pwd
import sys
from glob import glob

import click

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.errors import JobvisorError
from supervisor.imports.conversion import Kind, converted
from supervisor.imports.origin import Origin


@jobvisor(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option(
    "--from",
    "kind",
    type=click.Choice([each.value for each in Kind]),
    metavar="KIND",
    help=f"What each FILE is, if it is not seen: {', '.join(Kind)}.",
)
def command(place: Place, files: tuple[str, ...], kind: str | None) -> int:  # noqa: ARG001  # as every command's
    """Print a jobs.toml that does what files of another program say.

    A FILE is a crontab (/etc/crontab too), a supervisord.conf, a Procfile, a systemd .service or .timer, or - for
    standard input: crontab -l | jobvisor import - > jobs.toml. Several become one manifest; systemd units that order
    each other (After=, Before=) are best read together. What could not be carried over stands in comments at the top.
    Nothing is written, and no supervisor is needed.
    """
    print(converted([_origin(file) for file in files], Kind(kind) if kind else None), end="")
    return 0


def _origin(file: str) -> Origin:
    folder = os.path.dirname(os.path.abspath(file))
    return Origin(
        path=file,
        folder=folder,
        text=_text(file),
        environ=os.environ,
        read=lambda name: _beside(os.path.join(folder, name)),
        matches=lambda pattern: sorted(glob(pattern, root_dir=folder)),
        is_user=_is_user,
    )


def _text(path: str) -> str:
    """Return the text of a file.

    Raises:
        JobvisorError: it cannot be read.
    """
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise JobvisorError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JobvisorError(f"cannot read {path}: not UTF-8 text") from error


def _beside(path: str) -> str | None:
    try:
        return _text(path)
    except JobvisorError:
        return None


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
