"""What an end asks for: restart, rest or give up; and how long to wait. Rules of OTP's supervisor, plus back-off.

The window: a restart counts while its age is at most ``within``; ``max_restarts`` is the number allowed inside it, so
the one that would be ``max_restarts + 1`` gives up (OTP ``supervisor:add_restart``, with an exact clock).
"""

from datetime import timedelta

from supervisor.core.instants import ZERO, Now
from supervisor.core.job import Backoff, Limit, Restart, Supervision
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Again:
    """Restart after ``delay``; the window and the streak with this restart in them."""

    delay: timedelta
    window: tuple[Now, ...]
    streak: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Ended well, not to be restarted."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Ended badly, not to be restarted (``never``)."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The limit is reached."""

    restarts: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Ask:
    """To be restarted, if the group that it is in allows it."""


Verdict = Again | Rest | Leave | GiveUp | Ask


def decide(
    rules: Supervision,
    *,
    clean: bool,
    window: tuple[Now, ...],
    streak: int,
    now: Now,
    luck: float,
    is_grouped: bool = False,
) -> Verdict:
    """Judge an end that nobody asked for. ``luck`` in [0, 1) places the delay inside its jitter."""
    match rules.restart, clean:
        case (Restart.NEVER | Restart.ON_FAILURE, True):
            return Rest()
        case (Restart.NEVER, False):
            return Leave()
    if is_grouped:
        return Ask()
    filled = charge(window, rules.limit, now)
    if filled is None:
        assert rules.limit.max_restarts is not None
        return GiveUp(rules.limit.max_restarts, rules.limit.within)
    return Again(delay(rules.backoff, streak + 1, luck), filled, streak + 1)


def charge(window: tuple[Now, ...], limit: Limit, now: Now) -> tuple[Now, ...] | None:
    """Return the window with a restart at ``now`` in it, or None where the limit does not allow one."""
    if limit.max_restarts is None:
        return ()
    kept = (*(at for at in window if now.mono - at.mono <= limit.within), now)
    return kept if len(kept) <= limit.max_restarts else None


def delay(backoff: Backoff | None, streak: int, luck: float) -> timedelta:
    """Return the wait before restart number ``streak`` of a streak (1 = the first)."""
    if backoff is None:
        return ZERO
    try:
        exact = min(backoff.initial * backoff.factor ** (streak - 1), backoff.max)
    except OverflowError:
        exact = backoff.max
    return exact * (1 + backoff.jitter * (2 * luck - 1))
