"""Which slots the names on a command line mean: exact labels, job names, and ``*`` patterns."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from supervisor.values import dataclass

ALL = "all"
"""How others call all jobs, which here is a pattern."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A name that means no slot, and the nearest ones that would."""

    name: str
    near: str | None

    def __str__(self) -> str:
        """Return the sentence for a person."""
        hint = f'; did you mean "{self.near}"?' if self.near else "; `jobvisor status` lists them"
        return f'no job "{self.name}"{hint}'


def select(
    names: Sequence[str],
    labels: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
    known: Sequence[str] = (),
) -> list[str] | Unmatched:
    """Return the labels that the names mean, in the order of the labels; the first name that means none is said.

    A label is ``web`` or, of several instances, ``web:2``; ``web`` then means all of them. Of ``groups`` a name means
    the jobs; ``known`` are other names that a misspelt one may have meant.
    """
    chosen: set[str] = set()
    for name in names:
        if groups and name in groups:
            inside = set(groups[name])
            chosen |= {label for label in labels if label.partition(":")[0] in inside}
            continue
        matched = {label for label in labels if _means(name, label)}
        if not matched:
            from difflib import get_close_matches  # noqa: PLC0415  # only for a name that is wrong

            near = get_close_matches(name, [*labels, *(label.partition(":")[0] for label in labels), *known], n=1)
            return Unmatched(name, "*" if name == ALL else near[0] if near else None)
        chosen |= matched
    return [label for label in labels if label in chosen]


def _means(name: str, label: str) -> bool:
    job = label.partition(":")[0]
    if is_pattern(name):
        return fnmatchcase(label, name) or fnmatchcase(job, name)
    return name in {label, job} or (name == f"{label}:1" and ":" not in label)


def is_pattern(name: str) -> bool:
    """Tell whether a name is a pattern."""
    return any(mark in name for mark in "*?[")


def several(labels: Sequence[str]) -> str:
    """Return what is wrong with a name that means more than one, where one is asked for."""
    first = ", ".join(labels[:3])
    return f"{len(labels)} are meant ({first}{', …' if len(labels) > 3 else ''}); name one of them"
