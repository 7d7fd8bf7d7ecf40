"""Procfiles as Foreman and honcho read them: ``name: command``, each run by a shell."""

import re

from supervisor.imports.draft import Draft
from supervisor.imports.origin import Origin

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
_FIRST_PORT = 5000
_PORTS_APART = 100
"""As Foreman counts: each kind of process has a hundred ports of its own."""


def looks_like_procfile(text: str) -> bool:
    """Tell whether every line names a process."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return bool(lines) and all(_LINE.fullmatch(line.strip()) for line in lines)


def read_procfile(origin: Origin, draft: Draft) -> None:
    """Make a long-lived job of each line."""
    has_variables = origin.read(".env") is not None
    port = _FIRST_PORT
    for number, line in enumerate(origin.text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _LINE.fullmatch(bare)
        if found is None:
            draft.note(f"line {number}: expected `name: command`: {bare}")
            continue
        name, command = found.groups()
        if name == "release":
            draft.note(f"line {number}, release: a deploy runs it, not a supervisor; it is left out: {command}")
            continue
        job = draft.job(name)
        job.set_shell_command(command)
        if has_variables:
            job.set("env_file", ".env", ".env")
        if re.search(r"\$\{?PORT\b", command):
            job.set("env", {"PORT": str(port)}, "PORT")
        port += _PORTS_APART
    if draft.jobs:
        draft.note("Foreman ends every process when one ends; here the one is started again")
