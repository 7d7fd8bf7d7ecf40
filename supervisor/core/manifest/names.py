"""The tables that have names: jobs and groups share one name space, over all files."""

from collections.abc import Sequence
from typing import Any

from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.tables import NAME
from supervisor.core.manifest.wording import Path, found
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One table with a name, as TOML gave it."""

    name: str
    raw: Any
    source: Source
    path: Path


def named_tables(sources: Sequence[Source], kind: str, places: dict[str, str], problems: Problems) -> list[Named]:
    """Return the tables ``[KIND.NAME]`` of all files; ``places`` says where names are given, and is added to."""
    tables: list[Named] = []
    for source in sources:
        inside = source.document.get(kind, {})
        if not isinstance(inside, dict):
            problems.add(source, (kind,), f"found {found(inside)}; expected tables such as [{kind}.backup]")
            continue
        for name, raw in inside.items():
            path = (kind, name)
            if not NAME.fullmatch(name):
                what = "not a name: expected ASCII letters, digits, _ and -, first a letter or digit, at most 64"
                problems.add(source, path, what)
            if name in places:
                problems.add(source, path, f"the name is given twice; the other {places[name]}")
                continue
            places[name] = f"{kind.removesuffix('s')} is at {source.place(path)}"
            tables.append(Named(name=name, raw=raw, source=source, path=path))
    return tables
