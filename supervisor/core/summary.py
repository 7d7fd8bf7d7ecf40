"""All jobs in one line, for a service manager's status: ``4 of 5 jobs ok; importer failing: exit 1``."""

from collections import Counter
from collections.abc import Iterable

from supervisor.core.instants import Now
from supervisor.core.slot import Slot
from supervisor.core.states import Disabled
from supervisor.core.status import Health, health

MOST_NAMED = 3
LONGEST_REASON = 80
_QUIET = (Health.STARTING, Health.STOPPED)


def summary(slots: Iterable[Slot], now: Now) -> str:
    """Return how the slots are, with the names of those in trouble and why; disabled ones do not count."""
    found = [(slot, *health(slot, now)) for slot in slots if not slot.is_lane and not isinstance(slot.state, Disabled)]
    counted = Counter(word for _, word, _ in found)
    jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
    good = counted[Health.OK]
    parts = [f"{jobs} ok" if good == len(found) else f"{good} of {jobs} ok"]
    parts += [f"{counted[word]} {word.value}" for word in _QUIET if counted[word]]
    bad = [_sentence(slot, word, reason) for slot, word, reason in found if not word.is_good]
    more = [f"and {len(bad) - MOST_NAMED} more"] if len(bad) > MOST_NAMED else []
    return "; ".join([", ".join(parts), *bad[:MOST_NAMED], *more])


def _sentence(slot: Slot, word: Health, reason: str | None) -> str:
    what = f"{slot.label} {word.value}"
    return f"{what}: {' '.join(reason.split())[:LONGEST_REASON]}" if reason else what
