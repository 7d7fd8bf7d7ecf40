"""Reading one TOML table by its table of keys, and collecting every problem on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.core.manifest.keys import Key
from supervisor.core.manifest.readers import ReadError, found, near


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the file, the path of the key in it, and what is wrong."""

    file: str
    path: tuple[str, ...]
    text: str

    @property
    def key(self) -> str:
        """The path as people read it: ``jobs.backup.every``."""
        return ".".join(part if part.replace("-", "_").isidentifier() else f'"{part}"' for part in self.path)


@dataclass(slots=True)
class Reading:
    """The problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def problem(self, file: str, path: tuple[str, ...], text: str) -> None:
        """Note one."""
        self.problems.append(Problem(file, path, text))

    def table(self, file: str, path: tuple[str, ...], raw: Any, keys: Mapping[str, Key]) -> dict[str, Any]:
        """Return what could be read of a table, by key; the rest is noted as problems."""
        if not isinstance(raw, dict):
            self.problem(file, path, f"found {found(raw)}; expected a table")
            return {}
        values: dict[str, Any] = {}
        for name, value in raw.items():
            key = keys.get(name)
            if key is None:
                self.problem(file, (*path, name), f"unknown key{near(name, list(keys))}")
            elif not key.is_supported:
                self.problem(file, (*path, name), f"not yet supported ({key.meaning}); remove it")
            else:
                self._value(file, (*path, name), value, key, values)
        return values

    def _value(self, file: str, path: tuple[str, ...], raw: Any, key: Key, values: dict[str, Any]) -> None:
        if key.inside is not None and isinstance(raw, dict):
            values[path[-1]] = self.table(file, path, raw, key.inside)
            return
        try:
            values[path[-1]] = key.read(raw)
        except ReadError as error:
            self.problem(file, (*path, error.inside) if error.inside else path, str(error))
