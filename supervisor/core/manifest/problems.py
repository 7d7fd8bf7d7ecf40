"""What is wrong with a manifest, collected: every mistake at once, each with its place."""

from collections.abc import Mapping
from typing import Any

from supervisor.core.manifest.positions import Positions
from supervisor.core.manifest.wording import Path, dotted
from supervisor.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file as TOML gave it: its name as problems shall show it, what is in it, and where."""

    file: str
    document: Mapping[str, Any]
    positions: Positions

    def place(self, path: Path) -> str:
        """Return ``file:line`` of a key."""
        return f"{self.file}:{self.positions.line_of(path)}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. Its text is the sentence that people read: ``jobs.toml:14: jobs.backup.evry: unknown key; …``."""

    file: str
    line: int
    """From 1; 0 where the file as a whole is meant, and named by the text."""
    key: str
    """Its path as TOML writes it; may be empty."""
    what: str

    def __str__(self) -> str:
        """Return the whole sentence."""
        place = f"{self.file}:{self.line}" if self.line else ""
        return ": ".join(part for part in (place, self.key, self.what) if part)


@dataclass(slots=True)
class Problems:
    """The problems and warnings found so far."""

    found: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, source: Source, path: Path, what: str) -> None:
        """Note a problem."""
        self.found.append(_problem(source, path, what))

    def warn(self, source: Source, path: Path, what: str) -> None:
        """Note what is allowed and may not mean what its writer thinks."""
        self.warnings.append(_problem(source, path, what))


def _problem(source: Source, path: Path, what: str) -> Problem:
    return Problem(source.file, source.positions.line_of(path), dotted(path), what)
