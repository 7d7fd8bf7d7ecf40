"""From a file of another program to the text of a jobs.toml."""

import textwrap
from collections.abc import Sequence
from enum import StrEnum

import tomli_w

from supervisor.errors import JobvisorError
from supervisor.imports.crontab import looks_like_crontab, looks_like_system, read_crontab
from supervisor.imports.draft import Draft
from supervisor.imports.origin import Origin
from supervisor.imports.procfile import looks_like_procfile, read_procfile
from supervisor.imports.supervisord import looks_like_supervisord, read_supervisord
from supervisor.imports.systemd import looks_like_unit, read_units

_WIDTH = 110


class Kind(StrEnum):
    """What a file is."""

    CRONTAB = "crontab"
    SYSTEM_CRONTAB = "system-crontab"
    """With a column of users."""
    SUPERVISORD = "supervisord"
    PROCFILE = "procfile"
    SYSTEMD = "systemd"


def kind_of(origin: Origin) -> Kind:
    """Return what a file is, by its name and by what is in it.

    Raises:
        JobvisorError: it is none of them.
    """
    if origin.name.endswith((".service", ".timer")) or looks_like_unit(origin.text):
        return Kind.SYSTEMD
    if looks_like_supervisord(origin.text):
        return Kind.SUPERVISORD
    if looks_like_crontab(origin.text):
        return Kind.SYSTEM_CRONTAB if looks_like_system(origin) else Kind.CRONTAB
    if looks_like_procfile(origin.text):
        return Kind.PROCFILE
    raise JobvisorError(
        f"{origin.path}: neither a crontab, a supervisord.conf, a Procfile nor a systemd .service or .timer; "
        "say with --from what it is"
    )


def converted(origins: Sequence[Origin], kind: Kind | None = None) -> str:
    """Return the jobs.toml that does what files say, with a list of what it cannot carry over at its top.

    Raises:
        JobvisorError: a file cannot be read as what it is, or nobody can tell that.
    """
    draft = Draft()
    units: list[Origin] = []
    for origin in origins:
        found = kind or kind_of(origin)
        match found:
            case Kind.CRONTAB | Kind.SYSTEM_CRONTAB:
                read_crontab(origin, draft, system=found is Kind.SYSTEM_CRONTAB)
            case Kind.SUPERVISORD:
                read_supervisord(origin, draft)
            case Kind.PROCFILE:
                read_procfile(origin, draft)
            case Kind.SYSTEMD:
                units.append(origin)
    read_units(units, draft)
    draft.share()
    return f"{_heading(origins, draft)}\n{tomli_w.dumps(draft.document(), multiline_strings=True)}"


def _heading(origins: Sequence[Origin], draft: Draft) -> str:
    names = ", ".join("standard input" if origin.path == "-" else origin.path for origin in origins)
    lines = textwrap.wrap(
        f"From {names}. Read it, put it beside your code, and try it with `jobvisor check`.",
        _WIDTH if len(origins) > 1 else len(names) + _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
    )
    if draft.notes:
        lines += ["#", "# Lost, or not the same here:"]
    for note in draft.notes:
        lines += textwrap.wrap(note, _WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False)
    return "".join(f"{line}\n" for line in lines)
