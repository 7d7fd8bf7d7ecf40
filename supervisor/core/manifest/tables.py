"""Reading one TOML table by its table of keys."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.readers import Reader, ReadError
from supervisor.core.manifest.wording import Path, found, near
from supervisor.values import dataclass

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What people may call a job, or any other table of a name of its own."""


class Only(StrEnum):
    """The jobs that a key is for."""

    ANY = "any job"
    SCHEDULED = "scheduled jobs"
    EVERY = "`every`"
    RUN = "`run`"
    COMMAND = "`command`"
    LASTING = "long-lived jobs and Workers"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table."""

    reader: Reader
    meaning: str
    default: str | None = None
    """As TOML writes it; None where there is none, or where the text of ``meaning`` tells it."""
    only: Only = Only.ANY
    inside: Mapping[str, "Key"] | None = None
    """The keys of its table, where it is or may be one."""
    each: Mapping[str, "Key"] | None = None
    """The keys of each table in it, where it holds tables by the names that people give them."""


Keys = Mapping[str, Key]


def read_table(source: Source, path: Path, raw: Any, keys: Keys, problems: Problems) -> dict[str, Any]:
    """Return what could be read of a table, by key; the rest is noted as problems."""
    if not isinstance(raw, dict):
        problems.add(source, path, f"found {found(raw)}; expected a table")
        return {}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        key = keys.get(name)
        here = (*path, name)
        if key is None:
            problems.add(source, here, f"unknown key{near(name, tuple(keys))}")
        elif key.inside is not None and isinstance(value, dict):
            values[name] = read_table(source, here, value, key.inside, problems)
        else:
            try:
                values[name] = key.reader.read(value)
            except ReadError as error:
                for fault in error.faults:
                    problems.add(source, (*here, *fault.inside), fault.text)
    return values
