"""``jobvisor check``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from supervisor import clock, modules
from supervisor.accounts import UnknownAccountError, gid_of
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.advice import advice
from supervisor.core.job import Job, Run, kind_problem
from supervisor.core.kind import Kind
from supervisor.core.manifest import Manifest, Positions
from supervisor.core.notifier import Program
from supervisor.engine import credentials
from supervisor.engine.briefing import base_environ
from supervisor.engine.programs import missing, program_problem
from supervisor.engine.targets import Wanted
from supervisor.errors import JobvisorError, ManifestError
from supervisor.history import query
from supervisor.load import load

WITHIN = 60.0
"""Seconds that one target may take to import."""


@jobvisor(name="check")
@as_json
def command(place: Place, as_json: bool) -> int:
    """Validate the manifest and import every target in a throw-away process. Exits 0 or 1.

    Warnings are about what is valid and may not be meant: they leave the exit code as it is.
    """
    name = os.path.basename(place.manifest)
    manifest = None
    try:
        manifest = load(place.path(), os.environ)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = [problem for found in pool.map(partial(_problems, manifest), manifest.jobs) for problem in found]
        problems += _socket_problems(manifest)
    except ManifestError as error:
        problems = list(error.problems)
    warnings = [*manifest.warnings, *_advice(manifest), *_silent(manifest)] if manifest else []
    if as_json:
        jobs = len(manifest.jobs) if manifest else None
        print(json.dumps({"ok": not problems, "jobs": jobs, "problems": problems, "warnings": warnings}))
        return 1 if problems else 0
    for line in [*problems, *(f"warning: {warning}" for warning in warnings)]:
        print(line, file=sys.stderr)
    if not problems:
        count = len(manifest.jobs) if manifest else 0
        print(f"{name}: ok, {count} job{'' if count == 1 else 's'}")
    return 1 if problems else 0


def _advice(manifest: Manifest) -> Iterator[str]:
    """Yield what in the jobs may not mean what their writer thinks, measured by how long their runs have taken."""
    scheduled = [job for job in manifest.jobs if job.schedule is not None and job.enabled]
    try:
        path = Path(manifest.settings.state_dir, "history.db")
        lengths = query.median_durations(path, [job.name for job in scheduled])
    except JobvisorError as error:
        yield f"how long runs take is unknown: {error}"
        lengths = {}
    now = clock.now().wall
    for job in scheduled:
        yield from advice(job, now, lengths.get(job.name))


def _socket_problems(manifest: Manifest) -> list[str]:
    group = manifest.settings.socket_group
    try:
        if group is not None:
            gid_of(group, "socket_group")
    except UnknownAccountError as error:
        key = ("supervisor", "socket_group")
        line = Positions(Path(manifest.path).read_text(encoding="utf-8-sig")).line_of(key)
        return [f"{os.path.basename(manifest.path)}:{line}: {'.'.join(key)}: {error}"]
    return []


def _silent(manifest: Manifest) -> Iterator[str]:
    """Yield which notifiers will reach nobody: no reason to refuse the jobs."""
    for notifier in manifest.notifiers:
        if isinstance(notifier.to, Program):
            why = missing(notifier.to.argv[0], base_environ(os.environ).get("PATH"), manifest.folder)
            if why:
                key = f"notify.{notifier.name}.command"
                yield f"{notifier.where}: {key}: nobody will be told: {why}; install it, or correct `command`"


def _problems(manifest: Manifest, job: Job) -> list[str]:
    account = credentials.problem(job.process.user, job.process.group)
    return [*([f'job "{job.name}" ({job.where}): {account}'] if account else []), *_target_problems(manifest, job)]


def _target_problems(manifest: Manifest, job: Job) -> list[str]:
    wanted = Wanted(job.name, job.where, "", manifest.folder)
    if isinstance(job.target, Run):
        return _tried(job, job.target, manifest)
    if job.target.shell:
        return []
    path = {**base_environ(os.environ), **job.process.env}.get("PATH")
    problem = program_problem(wanted, job.target.argv[0], path, job.process.cwd)
    return [problem] if problem else []


def _tried(job: Job, target: Run, manifest: Manifest) -> list[str]:
    """Import a target in a process of its own, as the job would, and return what is wrong with it."""
    wish = {
        "job": job.name,
        "where": job.where,
        "target": target.target,
        "folder": manifest.folder,
        "path": manifest.python_path,
    }
    try:
        tried = subprocess.run(  # noqa: S603  # our own interpreter and module
            modules.command("supervisor.engine.trial", json.dumps(wish)),
            cwd=modules.cwd(),
            env={**base_environ(os.environ), **job.process.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f'job "{job.name}" ({job.where}): importing "{target.target}" took more than {WITHIN:.0f} s']
    if tried.returncode != 0:
        how = f"signal {-tried.returncode}" if tried.returncode < 0 else f"exit {tried.returncode}"
        said = "".join(f": {line}" for line in tried.stderr.decode(errors="replace").splitlines()[-1:])
        return [f'job "{job.name}" ({job.where}): importing "{target.target}" ended the process ({how}){said}']
    answer = json.loads(tried.stdout.splitlines()[-1])
    if "problem" in answer:
        return [answer["problem"]]
    problem = kind_problem(job, Kind(answer["kind"]))
    return [problem] if problem else []
