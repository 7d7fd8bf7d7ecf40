"""Where a group stands. Members at or below an index may start, or none may; the members' own states say the rest."""

from supervisor.core.events import Cause
from supervisor.core.instants import Mono, Now
from supervisor.core.job import OnGiveUp
from supervisor.core.runs import SavedGroup
from supervisor.core.tree.group import Group
from supervisor.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Raised:
    """Members start in order: the one at ``upto`` is next, those before it have been ready; all is well at the end."""

    upto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowering:
    """Members from ``first`` on stop, in reverse order; then the group starts them again, or is failed."""

    first: int
    cause: Cause
    until: Mono | None = None
    """No start before this instant (back-off)."""
    waits_for: str | None = None
    """The member whose back-off that is; an order by hand to it ends the wait."""
    fails: str | None = None
    """Why the group is failed when all are down."""
    anew: bool = False
    """Its parent restarts it as a whole, with a fresh count."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """Gave up; no member starts until somebody starts it by hand."""

    reason: str


Phase = Raised | Lowering | Fenced


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A group as it stands now."""

    group: Group
    phase: Phase = Raised(0)
    window: tuple[Now, ...] = ()
    """The restarts that the limit still counts."""
    restarts: int = 0
    """Charged ones, kept over restarts of the supervisor."""
    streak: int = 0
    """Restarts by its parent since it last ran well."""
    ready_since: Mono | None = None
    """When all members had come up."""

    def admits(self, index: int) -> bool:
        """Tell whether the member at this index may start."""
        match self.phase:
            case Raised(upto=upto):
                return index <= upto
            case Lowering(first=first):
                return index < first
            case Fenced():
                return False

    def sweeps(self, index: int) -> bool:
        """Tell whether the member at this index is being stopped anyway: how it ends makes no difference."""
        match self.phase:
            case Lowering(first=first):
                return index >= first
        return isinstance(self.phase, Fenced)

    def at(self, phase: Phase) -> "Branch":
        """Return the group in another phase."""
        return replace(self, phase=phase)

    def saved(self) -> SavedGroup:
        """Return what the group keeps over a restart of the supervisor: one that hands its failure on is not fenced."""
        match self.phase:
            case Fenced(reason=reason) if self.group.on_give_up is OnGiveUp.FENCE:
                gave_up: str | None = reason
            case _:
                gave_up = None
        return SavedGroup(
            group=self.group.name,
            restarts=self.restarts,
            restarted_at=tuple(at.wall for at in self.window),
            streak=self.streak,
            gave_up=gave_up,
        )


def branch_of(group: Group, saved: SavedGroup | None, now: Now) -> Branch:
    """Return a group before it begins, with what an earlier supervisor saved."""
    if saved is None:
        return Branch(group=group)
    return Branch(
        group=group,
        phase=Raised(0) if saved.gave_up is None else Fenced(saved.gave_up),
        window=tuple(map(now.ago, saved.restarted_at)),
        restarts=saved.restarts,
        streak=saved.streak,
    )
