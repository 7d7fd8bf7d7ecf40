"""The file that is imported, and what stands beside it."""

from collections.abc import Callable, Mapping

from supervisor.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A file as text. Paths of files beside it are relative to its folder."""

    path: str
    """As it was named; ``-`` for standard input."""
    folder: str
    text: str
    environ: Mapping[str, str]
    read: Callable[[str], str | None]
    """The text of a file; None where it cannot be had."""
    matches: Callable[[str], list[str]]
    """The files of a pattern, sorted."""
    is_user: Callable[[str], bool]

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.rpartition("/")[2]
