"""Where each setting of a job is written: in its own table, or in the defaults."""

from collections.abc import Iterator, Mapping
from typing import Any

from supervisor.core.job import Origin
from supervisor.core.manifest.merged import Merged
from supervisor.core.manifest.problems import Source


def origins(table: Merged, own: Mapping[str, Any], main: Source) -> dict[str, Origin]:
    """Return the place of each key that is written for a job, by the key as ``spelling`` spells it."""
    found: dict[str, Origin] = {}
    for key, inside in _written(table.values):
        path = (key,) if inside is None else (key, inside)
        if _stands_in(own, key, inside):
            origin = Origin("job", table.source.place((*table.path, *path)))
        else:
            origin = Origin("defaults", main.place(("defaults", *path)))
        found[".".join(path)] = origin
    return found


def _written(values: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((key, inside) for inside in value)
        else:
            yield key, None


def _stands_in(own: Mapping[str, Any], key: str, inside: str | None) -> bool:
    if key not in own:
        return False
    return inside is None or not isinstance(own[key], dict) or inside in own[key]
