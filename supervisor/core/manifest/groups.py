"""Making the groups of the ``[groups.NAME]`` tables, and what groups and jobs must not do to each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.core.job import Job
from supervisor.core.manifest.keys import GROUP
from supervisor.core.manifest.limits import make_backoff, make_limit
from supervisor.core.manifest.names import Named
from supervisor.core.manifest.origins import group_origins
from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.tables import read_table
from supervisor.core.manifest.wording import near
from supervisor.core.tree.group import Group
from supervisor.core.tree.shape import wait_cycles
from supervisor.values import replace


def make_groups(tables: Sequence[Named], defaults: Mapping[str, Any], problems: Problems) -> dict[str, Group]:
    """Return the groups of some tables by name; parents that cannot be are noted and left out.

    Of [defaults], which are those of jobs, a group without a back-off takes that one: its members would have it too.
    """
    read = [(named, read_table(named.source, named.path, named.raw, GROUP, problems)) for named in tables]
    known = tuple(named.name for named in tables)
    groups: dict[str, Group] = {}
    for named, values in read:
        parent = values.get("group")
        if parent is not None and parent not in known:
            problems.add(named.source, (*named.path, "group"), unknown_group(parent, known))
            parent = None
        stands = group_origins(values, named.source, named.path)
        values.setdefault("backoff", defaults.get("backoff", {}))
        groups[named.name] = replace(_group(named, values, parent, problems), origins=stands)
    _refuse_cycles(groups, {named.name: named.source for named in tables}, problems)
    return groups


def unknown_group(name: str, known: tuple[str, ...]) -> str:
    """Return what is wrong with the name of a group that no table makes."""
    return f'there is no group "{name}"{near(name, known) or f"; write [groups.{name}]"}'


def _group(named: Named, values: Mapping[str, Any], parent: str | None, problems: Problems) -> Group:
    backoff, fault = make_backoff(values["backoff"])
    if fault:
        problems.add(named.source, (*named.path, "backoff", "initial"), fault)
    return Group(
        name=named.name,
        limit=make_limit(values, backoff),
        backoff=backoff,
        parent=parent,
        where=named.source.place(named.path),
        **{name: values[name] for name in ("strategy", "on_give_up") if name in values},
    )


def _refuse_cycles(groups: Mapping[str, Group], sources: Mapping[str, Source], problems: Problems) -> None:
    """Note each circle of parents once, at its first group; a circle has no group that could be the first."""
    seen: set[str] = set()
    for name in groups:
        path = list(_parents(groups, name, seen))
        seen.update(path)
        last = groups[path[-1]].parent if path else None
        if last in path:
            circle = [*path[path.index(last) :], last]
            what = f"a group cannot be in itself: {' → '.join(circle)}"
            problems.add(sources[last], ("groups", last, "group"), what)


def _parents(groups: Mapping[str, Group], name: str | None, seen: set[str]) -> Iterator[str]:
    met: set[str] = set()
    while name is not None and name not in seen and name not in met:
        met.add(name)
        yield name
        name = groups[name].parent


def check_waits(
    jobs: Sequence[Job], groups: Mapping[str, Group], places: Mapping[str, Source], found: Problems
) -> None:
    """Note names in ``after`` that no job has, and jobs that would wait for each other for ever."""
    known = tuple(places)
    for job in jobs:
        for index, name in enumerate(job.after):
            if name not in places and name not in groups:
                found.add(
                    places[job.name], ("jobs", job.name, "after", index), f'there is no job "{name}"{near(name, known)}'
                )
            elif name in groups:
                what = f'"{name}" is a group; name jobs, such as its last'
                found.add(places[job.name], ("jobs", job.name, "after", index), what)
    known_waits = [replace(job, after=tuple(name for name in job.after if name in places)) for job in jobs]
    for cycle in wait_cycles(known_waits, tuple(groups.values())):
        path = " → ".join((*cycle, cycle[0]))
        first = next(name for name in cycle if name in places)
        what = f"none of these could ever start, as each waits for the next: {path}"
        found.add(places[first], ("jobs", first, "after"), what)


def lonely(groups: Mapping[str, Group], jobs: Sequence[Job]) -> set[str]:
    """Return the groups without a member."""
    return groups.keys() - {job.group for job in jobs} - {group.parent for group in groups.values()}
