"""Where the manifest is, and where its supervisor listens: what every client must know before anything else.

Imported by each client command, so it imports little itself.
"""

import os
from collections.abc import Iterator, Mapping
from hashlib import sha256

from supervisor.errors import JobvisorError

NAME = "jobs.toml"


def locate(explicit: str | None, environ: Mapping[str, str], cwd: str) -> str:
    """Return the manifest's absolute path: named, else ``$JOBVISOR_MANIFEST``, else the nearest jobs.toml upwards.

    Raises:
        JobvisorError: there is none; the text says where was looked and what to do.
    """
    named = explicit or environ.get("JOBVISOR_MANIFEST")
    if named:
        path = os.path.join(cwd, named)
        return os.path.abspath(os.path.join(path, NAME) if os.path.isdir(path) else path)
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


def manifest_id(path: str) -> str:
    """Return a manifest's ID in the names of run-time folders: a hash of its real path."""
    return sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]


def sockets(explicit: str | None, manifest: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield where the supervisor of a manifest may listen, the likeliest first; the first that answers is it."""
    for named in (explicit, environ.get("JOBVISOR_SOCKET")):
        if named:
            yield os.path.abspath(named)
            return
    folder = os.path.dirname(manifest)
    state_dir, socket = lenient_settings(manifest)
    if socket:
        yield os.path.join(folder, socket)
    ident = manifest_id(manifest)
    yield f"/run/jobvisor/{ident}/control.sock"
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield f"{runtime}/jobvisor/{ident}/control.sock"
    state_dir = state_dir or environ.get("STATE_DIRECTORY") or ".jobvisor"
    yield os.path.join(folder, state_dir, "control.sock")


def lenient_settings(manifest: str) -> tuple[str | None, str | None]:
    """Return ``state_dir`` and ``socket`` as [supervisor] names them; a broken manifest hides no running supervisor."""
    state_dir = socket = None
    try:
        with open(manifest, encoding="utf-8", errors="replace") as lines:
            inside = False
            for line in lines:
                bare = line.strip()
                if bare.startswith("["):
                    inside = bare.partition("#")[0].replace(" ", "").rstrip() == "[supervisor]"
                elif inside:
                    name, equals, value = bare.partition("=")
                    if equals and name.strip() == "state_dir":
                        state_dir = _unquoted(value)
                    elif equals and name.strip() == "socket":
                        socket = _unquoted(value)
    except OSError:
        return None, None
    return state_dir, socket


def _unquoted(value: str) -> str | None:
    value = value.strip()
    quote = value[:1]
    if quote not in {'"', "'"}:
        return None
    content, closed, _ = value[1:].partition(quote)
    return content if closed else None
