"""Where the manifest is, and where its supervisor listens: what every client must know before anything else.

Each client command imports this, so it imports little itself.
"""

import json
import os
from collections.abc import Iterator, Mapping

from supervisor.core import folders
from supervisor.errors import JobvisorError

NAME = "jobs.toml"
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_STRING = json.JSONDecoder(strict=False)
"""TOML's basic strings are JSON's, but for ``\\U`` and ``\\e``."""


def locate(explicit: str | None, environ: Mapping[str, str], cwd: str) -> str:
    """Return the manifest's absolute path: named, else ``$JOBVISOR_MANIFEST``, else the nearest jobs.toml upwards.

    A folder that is named stands for the jobs.toml in it. Whether what is named exists is for its reader to say.

    Raises:
        JobvisorError: none is named and there is none; the text says where was looked and what to do.
    """
    named = explicit or environ.get("JOBVISOR_MANIFEST")
    if named:
        path = os.path.abspath(os.path.join(cwd, named))
        return os.path.join(path, NAME) if os.path.isdir(path) else path
    folder = os.path.abspath(cwd)
    while True:
        path = os.path.join(folder, NAME)
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            raise JobvisorError(
                f"no {NAME} in {cwd} or any folder above it; name one with -f, or write one with `jobvisor init`"
            )
        folder = parent


def folder_here(environ: Mapping[str, str]) -> str:
    """Return the working folder by the name under which the shell came there, links included (POSIX, ``pwd -L``).

    A release that is deployed by setting a link is to be found by that link before and after.
    """
    here, named = os.getcwd(), environ.get("PWD", "")
    try:
        return named if os.path.isabs(named) and os.path.samefile(named, here) else here
    except OSError:
        return here


def manifest_id(manifest: str) -> str:
    """Return a manifest's ID in the names of run-time folders: a hash of its real path, 16 hexadecimal digits."""
    return _hash(os.path.realpath(manifest))


def unit_id(manifest: str) -> str:
    """Return the ID in the names of the folders that its unit gets: a hash of its path as it is named.

    This is the other one unless there is a link in the path. Where there is, and is set to the next release, that has
    another real path; and the same unit, with the same state.
    """
    return _hash(os.path.abspath(manifest))


def _hash(path: str) -> str:
    """Return FNV-1a of 64 bits. It names and guards nothing, and hashlib would load OpenSSL into every client."""
    digest = _FNV_OFFSET
    for byte in os.fsencode(path):
        digest = (digest ^ byte) * _FNV_PRIME % 2**64
    return f"{digest:016x}"


def sockets(explicit: str | None, manifest: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield where the supervisor of a manifest may listen, the likeliest first; the first that answers is it.

    One that is named (by the caller, or by ``$JOBVISOR_SOCKET``) is the only one; then the manifest may be empty.
    """
    named = explicit or environ.get("JOBVISOR_SOCKET")
    if named:
        yield os.path.abspath(named)
        return
    state_dir, socket, _ = lenient_paths(manifest, environ)
    if socket is not None:
        yield socket
    runtime = environ.get("XDG_RUNTIME_DIR")
    for folder in ("/run", *([runtime] if runtime else [])):
        for ident in _idents(manifest):
            yield f"{folder}/jobvisor/{ident}/{folders.SOCKET}"
    yield os.path.join(state_dir, folders.SOCKET)
    given = folders.socket(environ)
    if given is not None:
        yield given


def _idents(manifest: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((manifest_id(manifest), unit_id(manifest))))


def as_in_the_unit(manifest: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the folders that ``jobvisor systemd`` gives the manifest, where a unit has made them.

    They are systemd's (systemd.exec(5), StateDirectory=), of the system and of a user's own service manager.
    """
    if "STATE_DIRECTORY" in environ:
        return environ
    home = os.path.expanduser("~")
    state = environ.get("XDG_STATE_HOME") or f"{home}/.local/state"
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"  # of systemd before 254
    for states, logs in (("/var/lib", "/var/log"), (state, f"{state}/log"), (config, f"{config}/log")):
        for name in (f"jobvisor/{ident}" for ident in _idents(manifest)):
            if os.path.isdir(f"{states}/{name}"):
                return {**environ, "STATE_DIRECTORY": f"{states}/{name}", "LOGS_DIRECTORY": f"{logs}/{name}"}
    return environ


def lenient_paths(manifest: str, environ: Mapping[str, str]) -> tuple[str, str | None, str]:
    """Return the state_dir, the socket where ``[supervisor]`` names one, and the log_dir; all absolute.

    A manifest that is broken, or not there, hides no running supervisor, nor what one has left: this looks for three
    keys line by line and takes whatever else it meets for granted.
    """
    folder = os.path.dirname(os.path.abspath(manifest))
    found: dict[str, str] = {}
    try:
        with open(manifest, encoding="utf-8-sig", errors="replace") as lines:
            for key, value in _supervisor_keys(lines):
                text = _text(value)
                if text and key in {"state_dir", "socket", "log_dir"}:
                    found.setdefault(key, text)
    except OSError:
        found.clear()  # the reader of the manifest says why; the defaults still lead to the supervisor
    state_dir = os.path.normpath(os.path.join(folder, found.get("state_dir") or folders.state_dir(environ)))
    socket = found.get("socket")
    log_dir = found.get("log_dir") or folders.log_dir(environ) or os.path.join(state_dir, "logs")
    return (
        state_dir,
        os.path.normpath(os.path.join(folder, socket)) if socket else None,
        os.path.normpath(os.path.join(folder, log_dir)),
    )


def _supervisor_keys(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield key and what is behind ``=``, for each line of ``[supervisor]``, also written as ``supervisor.key = …``."""
    table = ""
    for line in lines:
        bare = line.strip()
        if bare.startswith("["):
            table = _bare(bare[1:].partition("]")[0])
            continue
        key, equals, value = bare.partition("=")
        key = _bare(key)
        if equals and table == "supervisor":
            yield key, value
        elif equals and not table and key.startswith("supervisor."):
            yield key.removeprefix("supervisor."), value


def _bare(key: str) -> str:
    return "".join(part for part in key if part not in " \t\"'")


def _text(value: str) -> str | None:
    """Return the string that a value starts with, or None where it is none."""
    value = value.lstrip()
    if value.startswith("'"):
        text, closed, _ = value[1:].partition("'")
        return text if closed else None
    if not value.startswith('"'):
        return None
    try:
        return str(_STRING.raw_decode(value)[0])
    except ValueError:
        return None
