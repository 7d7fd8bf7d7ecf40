"""Where a group stands. Members at or below an index may start, or none may; the members' own states say the rest."""

from supervisor.core.events import Cause
from supervisor.core.instants import Mono
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
    window: tuple[Mono, ...] = ()
    """Instants of the restarts that the limit still counts."""
    restarts: int = 0
    """Charged ones, since the supervisor's start."""
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
