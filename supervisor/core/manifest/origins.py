"""Where each setting of a job is written: in its own table, in its group's, or in the defaults."""

from collections.abc import Iterator, Mapping
from typing import Any

from supervisor.core.job import Origin
from supervisor.core.manifest.merged import Merged
from supervisor.core.manifest.problems import Source
from supervisor.core.manifest.wording import Path
from supervisor.core.tree.group import Group

_LIMIT = ("max_restarts", "within", "on_give_up")
"""Keys that a group settles for its members, whatever the defaults say."""


def origins(table: Merged, own: Mapping[str, Any], main: Source, group: Group | None) -> dict[str, Origin]:
    """Return the place of each key that is written for a job, by the key as ``spelling`` spells it."""
    found = _own_origins(table, own, main)
    if group is None:
        return found
    of_group = {key: place for key, place in group.origins.items() if key in _LIMIT or "backoff" not in own}
    inherited = (key for key in found if key in _LIMIT or (_is_backoff(key) and any(map(_is_backoff, of_group))))
    for key in list(inherited):
        del found[key]
    return found | of_group


def group_origins(values: Mapping[str, Any], source: Source, path: Path) -> dict[str, Origin]:
    """Return the place of each key of a group that counts for its members."""
    return {
        ".".join(key): Origin("group", source.place((*path, *key)))
        for name, inside in _written(values)
        if name in _LIMIT or name == "backoff"
        for key in [(name,) if inside is None else (name, inside)]
    }


def _is_backoff(key: str) -> bool:
    return key.partition(".")[0] == "backoff"


def _own_origins(table: Merged, own: Mapping[str, Any], main: Source) -> dict[str, Origin]:
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
