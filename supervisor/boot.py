"""The order of a start: what takes long begins first, and nothing of the application runs before we may run it.

The fork server and the log process are exec'd before anything else is imported, so that their interpreters start beside
this one. The application's modules are imported, by the fork server, once the manifest is good and the state folder is
ours; the supervisor imports its own loop meanwhile.
"""

import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from supervisor.engine import briefing
from supervisor.engine.cgroups import claimed, held
from supervisor.helpers import Standby
from supervisor.logs import launch
from supervisor.signals import HANDOVER

if TYPE_CHECKING:
    from supervisor.core.manifest import Manifest
    from supervisor.ownlog import OwnLog

ANSWERS_WITHIN = 5.0
"""Seconds in which another supervisor of the manifest says who it is."""
_SHA2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
_HASHES = ("_md5", "_sha1", *_SHA2, "_sha3", "_blake2")
"""Python's own, by which hashlib does without OpenSSL."""


def run(manifest_path: str, *, output: bool) -> int:
    """Supervise the jobs of a manifest in the foreground until asked to stop; return the exit code.

    Raises:
        ManifestError: the manifest is bad; no job was started.
        AlreadyRunningError: another supervisor holds the same state_dir, or runs the same manifest with another one;
            no job was started.
    """
    if HANDOVER in os.environ:
        return _succeed(*os.environ.pop(HANDOVER).split(":"))
    console = output or (sys.stdout is not None and sys.stdout.isatty())
    environ = briefing.base_environ(os.environ)
    with (
        Standby(lambda: briefing.start(environ)) as fork_server,
        Standby(lambda: launch.start(os.environ, console=console)) as log_process,
    ):
        from pathlib import Path  # noqa: PLC0415  # from here on beside the two

        from supervisor.load import load  # noqa: PLC0415
        from supervisor.statedir import Lock, make_private  # noqa: PLC0415

        manifest = load(Path(manifest_path), os.environ)
        state_dir = Path(manifest.settings.state_dir)
        make_private(state_dir)
        make_private(Path(manifest.settings.log_dir))
        with Lock(state_dir) as lock:
            _refuse_a_second(manifest_path)
            return _supervise(manifest, environ, lock.fd, (fork_server, log_process), console=console)


def _refuse_a_second(manifest: str) -> None:
    """Refuse where a supervisor of this manifest answers elsewhere, a unit's say: each job would run twice."""
    from supervisor.control.client import connect  # noqa: PLC0415
    from supervisor.discovery import sockets  # noqa: PLC0415
    from supervisor.errors import AlreadyRunningError, ControlError, NoSupervisorError  # noqa: PLC0415

    try:
        with connect(sockets(None, manifest, os.environ)) as client:
            other = client.ask("ping", timeout=ANSWERS_WITHIN)
    except (NoSupervisorError, ControlError):
        return
    if os.path.realpath(other["manifest"]) == os.path.realpath(manifest):
        raise AlreadyRunningError(
            f"another supervisor (pid {other['pid']}) runs {manifest}, with its state in {other['state_dir']}; "
            "ask it with `jobvisor status`, end it with `jobvisor shutdown`"
        )


def _succeed(what: str, number: str) -> int:
    """Go on from what the version before has handed over, or only prove that this one can; return the exit code.

    Raises:
        JobvisorError: it cannot, and the version before has not asked for a proof.
    """
    with _without_ballast():
        from supervisor import handover  # noqa: PLC0415
        from supervisor.supervise import Helpers, supervise  # noqa: PLC0415

    with open(int(number), "rb") as memory:  # noqa: PTH123  # a descriptor
        memory.seek(0)
        document = memory.read()
    if what == "try":
        told, code = handover.proof(document, os.environ)
        sys.stdout.write(told)
        return code
    handed = handover.read(document, os.environ)
    handover.keep_over_exec(handed.fds, kept=False)
    found = handed.handover
    settings = found.engine.servers.settings.settings
    with held(settings.cgroup):
        log = _open_log(found.manifest)
        return supervise(found.manifest, Helpers(settings, found.lock), log, console=found.console, handed=handed)


def _supervise(
    manifest: "Manifest", environ: Mapping[str, str], lock: int, standby: tuple[Standby, Standby], *, console: bool
) -> int:
    """Have the state folder's jobs to ourselves, then let the application's modules be imported, and supervise."""
    from pathlib import Path  # noqa: PLC0415

    from supervisor.statedir import Vacancy  # noqa: PLC0415

    with _without_ballast():
        import hashlib  # noqa: F401, PLC0415  # for the names of cgroups

    @cache
    def log() -> "OwnLog":
        return _open_log(manifest)

    def say(text: str) -> None:
        log()
        from loguru import logger  # noqa: PLC0415  # it is there by now

        logger.warning("{}", text)

    state_dir = manifest.settings.state_dir
    shares_cpu = any(job.process.limits.cpu is not None for job in manifest.jobs)
    with Vacancy(Path(state_dir), say) as vacancy, claimed(state_dir, shares_cpu=shares_cpu) as cgroup:
        settings = briefing.Settings(
            environ=environ,
            path=manifest.python_path,
            preload=manifest.settings.preload,
            nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            vacancy=vacancy,
            cgroup=cgroup,
        )
        fork_server, log_process = standby
        if fork_server.helper is not None:
            briefing.brief(fork_server.helper, settings)
        opened = log()  # from here on beside the application's imports
        from supervisor.supervise import Helpers, supervise  # noqa: PLC0415

        return supervise(manifest, Helpers(settings, lock, fork_server, log_process), opened, console=console)


def _open_log(manifest: "Manifest") -> "OwnLog":
    """Have loguru write our own log from now on."""
    with _without_ballast(), _without_default_sink():
        from supervisor.ownlog import open_log  # noqa: PLC0415

    own = manifest.settings
    file = None
    if own.log_file is not None:
        from supervisor.logs.own import OwnFile  # noqa: PLC0415  # few manifests name one

        file = OwnFile(own.log_file, max_size=own.log_max_size, keep=own.log_keep)
    return open_log(own.log_level, file)


@contextmanager
def _without_default_sink() -> Iterator[None]:
    """Have loguru's import open no sink, which would be closed at once; what the jobs find in the environment stays."""
    name = "LOGURU_AUTOINIT"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextmanager
def _without_ballast() -> Iterator[None]:
    """Have imports find no OpenSSL and no compression: nothing of ours uses them, and they are all memory.

    The standard library's modules are made for Pythons that have none. Who imports them later gets them. A Python built
    without the hashes that OpenSSL has too (``--with-builtin-hashlib-hashes=blake2``, some vendors') keeps OpenSSL's.
    """
    ballast = ("ssl", "bz2", "lzma", *(["_hashlib"] if all(map(find_spec, _HASHES)) else []))
    absent = [name for name in ballast if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # this is how an import is made to fail
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
