"""``jobvisor systemd``."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from supervisor import discovery
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.job import Command
from supervisor.core.manifest import Manifest
from supervisor.errors import JobvisorError
from supervisor.load import load
from supervisor.systemd.unit import Unit

SYSTEM_UNITS = Path("/etc/systemd/system")


@jobvisor(name="systemd")
@click.option("--user", "of_user", is_flag=True, help="For your own service manager (systemctl --user).")
@click.option("--install", is_flag=True, help="Write it where systemd looks, instead of printing it.")
@click.option("--name", metavar="NAME", help="Of the unit; jobvisor-FOLDER unless you say otherwise.")
def command(place: Place, of_user: bool, install: bool, name: str | None) -> int:
    """Write the systemd unit that runs this manifest's supervisor, hardened, each line explained.

    A system unit runs as the manifest's owner; as root where jobs have a `user` of their own.
    """
    unit = _unit(load(place.path(), os.environ), of_user=of_user)
    if not install:
        print(unit.text(), end="")
        return 0
    path = _units(of_user=of_user) / (unit.name if name is None else f"{name.removesuffix('.service')}.service")
    _write(path, unit)
    ctl = "systemctl --user" if of_user else "systemctl"
    print(f"wrote {path}")
    _tell_systemd(ctl)
    print(f"start it, now and at each boot: {ctl} enable --now {path.name}")
    return 0


def _unit(manifest: Manifest, *, of_user: bool) -> Unit:
    changes_user = any(job.process.user is not None or job.process.group is not None for job in manifest.jobs)
    owner = os.stat(manifest.path).st_uid
    account = None if of_user or changes_user or owner == 0 else _account(owner)
    return Unit(
        manifest=manifest.path,
        ident=discovery.unit_id(manifest.path),
        is_linked=discovery.unit_id(manifest.path) != discovery.manifest_id(manifest.path),
        program=_program(),
        python=tuple(dict.fromkeys((sys.prefix, sys.base_prefix))),
        read=tuple(dict.fromkeys(_read(manifest))),
        written=tuple(dict.fromkeys(_written(manifest))),
        stop_timeout=manifest.settings.stop_timeout,
        of_user=of_user,
        account=account.pw_name if account else None,
        home=account.pw_dir if account else None,
        version=_systemd_version(),
    )


def _written(manifest: Manifest) -> Iterator[str]:
    """Yield the folders to which the manifest has the supervisor write."""
    own = manifest.settings
    yield from (own.state_dir, own.log_dir, os.path.dirname(own.socket))
    if own.log_file is not None:
        yield os.path.dirname(own.log_file)


def _read(manifest: Manifest) -> Iterator[str]:
    """Yield the folders and programs that the manifest names for its jobs."""
    yield from manifest.python_path
    for job in manifest.jobs:
        if job.process.cwd is not None:
            yield job.process.cwd
        if isinstance(job.target, Command) and os.path.isabs(job.target.argv[0]):
            yield job.target.argv[0]


def _account(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise JobvisorError(
            f"the manifest belongs to uid {uid}, which has no name; chown it to who shall run it"
        ) from None


def _program() -> tuple[str, ...]:
    """Return how this program is started: by its script beside the interpreter, or as a module."""
    script = os.path.join(os.path.dirname(sys.executable), "jobvisor")
    return (script,) if os.access(script, os.X_OK) else (sys.executable, "-m", "supervisor")


def _systemd_version() -> int:
    """Return the version of systemd here, 0 where there is none."""
    ctl = shutil.which("systemctl")
    if ctl is None:
        return 0
    done = subprocess.run([ctl, "--version"], capture_output=True, text=True, check=False)  # noqa: S603  # systemd's own
    words = done.stdout.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _units(*, of_user: bool) -> Path:
    if not of_user:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "systemd", "user")


def _write(path: Path, unit: Unit) -> None:
    """Write a unit; one that is there is replaced only where it was written for the same manifest."""
    try:
        if path.exists() and path.read_text().partition("\n")[0] != unit.mark:
            raise JobvisorError(f"{path} is there, and not written for {unit.manifest}; take another --name")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit.text())
    except OSError as error:
        raise JobvisorError(f"cannot write {path}: {error.strerror}; as root, or with --user?") from error


def _tell_systemd(ctl: str) -> None:
    program, *options = ctl.split()
    found = shutil.which(program)
    done = found and subprocess.run(  # noqa: S603  # systemd's own
        [found, *options, "daemon-reload"], capture_output=True, text=True, check=False
    )
    if not done or done.returncode:
        print(f"systemd has not been told ({ctl} daemon-reload)", file=sys.stderr)
