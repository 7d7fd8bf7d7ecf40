"""The shape of the tree: which group has which members in which order, and which job waits for which."""

from collections.abc import Iterator, Mapping, Sequence

from supervisor.core.job import Job
from supervisor.core.tree.group import Group
from supervisor.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member stands: in which group, and how many are before it."""

    group: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Names only: jobs and groups share one name space. What stands in no group has no place here."""

    jobs: frozenset[str] = frozenset()
    groups: Mapping[str, Group] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By group, in start order: that of the manifest; a group stands where its first job does."""
    places: Mapping[str, Place] = field(default_factory=dict)
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By job: those that must be ready first."""
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By job: those that are ``after`` it."""

    def places_of(self, name: str) -> Iterator[Place]:
        """Return the places of a job or group and of the groups around it, from the inside out."""
        place = self.places.get(name)
        while place is not None:
            yield place
            place = self.places.get(place.group)

    def jobs_below(self, name: str) -> Iterator[str]:
        """Return the jobs of a group and of the groups in it, in start order; of a job, itself."""
        if name not in self.groups:
            yield name
        for member in self.members.get(name, ()):
            yield from self.jobs_below(member)

    def groups_below(self, name: str) -> Iterator[str]:
        """Return a group and those in it; of a job, none."""
        if name in self.groups:
            yield name
        for member in self.members.get(name, ()):
            yield from self.groups_below(member)

    def rank(self, name: str) -> tuple[int, ...]:
        """Return what sorts the members of one tree in start order."""
        return tuple(place.index for place in self.places_of(name))[::-1]


def shape_of(jobs: Sequence[Job], groups: Sequence[Group]) -> Shape:
    """Return the shape that jobs and groups of a valid manifest make."""
    known = {group.name: group for group in groups}
    members = _members(jobs, known)
    after = {job.name: job.after for job in jobs if job.after}
    dependents: dict[str, list[str]] = {}
    for name, before in after.items():
        for each in before:
            dependents.setdefault(each, []).append(name)
    return Shape(
        jobs=frozenset(job.name for job in jobs),
        groups=known,
        members=members,
        places={
            member: Place(group, index) for group, inside in members.items() for index, member in enumerate(inside)
        },
        after=after,
        dependents={name: tuple(waiting) for name, waiting in dependents.items()},
    )


def _members(jobs: Sequence[Job], groups: Mapping[str, Group]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {name: {} for name in groups}
    for job in jobs:
        member, group = job.name, job.group
        while group is not None and member not in found[group]:
            found[group][member] = None
            member, group = group, groups[group].parent
    for name, each in groups.items():  # those without jobs stand last
        if each.parent is not None:
            found[each.parent].setdefault(name)
    return {name: tuple(inside) for name, inside in found.items()}


def wait_cycles(jobs: Sequence[Job], groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    """Yield jobs and groups that wait for each other, each for the next and the last for the first; none is fine.

    A member waits for the one before it in its group to be ready, and is ready itself only when it has started.
    """
    shape = shape_of(jobs, groups)
    done: set[_Node] = set()
    for name in shape.after:
        path: dict[_Node, Iterator[_Node]] = {(name, True): iter(_waits_for(shape, (name, True)))}
        while path:
            node, waits = next(reversed(path.items()))
            following = next((each for each in waits if each not in done), None)
            if following is None:
                done.add(node)
                del path[node]
            elif following in path:
                nodes = list(path)
                yield tuple(dict.fromkeys(each for each, _ in nodes[nodes.index(following) :]))
                done.update(path)
                break
            else:
                path[following] = iter(_waits_for(shape, following))


_Node = tuple[str, bool]
"""A job or a group, and whether it is to be ready (else: to start)."""


def _waits_for(shape: Shape, node: _Node) -> Iterator[_Node]:
    name, is_ready = node
    if is_ready:
        yield (name, False)
        for member in shape.members.get(name, ()):
            yield (member, True)
        return
    for before in shape.after.get(name, ()):
        yield (before, True)
    place = shape.places.get(name)
    if place is not None:
        yield (place.group, False)
        if place.index:
            yield (shape.members[place.group][place.index - 1], True)
