"""Which of several units starts after which: ``After=`` and ``Before=`` of systemd.unit(5) as ``after``."""

from collections.abc import Iterable, Mapping

from supervisor.imports.draft import JobDraft
from supervisor.imports.unitfile import Unit
from supervisor.values import dataclass, field

_ORDER = ("After", "Before")
_BOUND = frozenset({"BindsTo", "PartOf"})
"""Who says so is stopped, and restarted, together with the other."""
_WANTS = ("Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds")
_SCHEDULES = frozenset({"every", "delay", "cron", "at"})


@dataclass(slots=True)
class Ties:
    """What the units say of each other, until all have been read."""

    known: frozenset[str]
    """The names of the units that become jobs."""
    _jobs: dict[str, list[JobDraft]] = field(default_factory=dict)
    _said: list[tuple[str, str, str]] = field(default_factory=list)
    """Unit, setting, and the unit that it names."""

    def take(self, name: str, job: JobDraft, unit: Unit) -> None:
        """Take what the unit of this name, which has become a job, says of others that do; the rest stays in it."""
        self._jobs.setdefault(name, []).append(job)
        settings = unit.sections.get("Unit", {})
        for key in (*_ORDER, *_WANTS):
            others = " ".join(unit.take_all("Unit", key)).split()
            self._said += [(name, key, other) for other in others if other in self.known]
            left = [other for other in others if other not in self.known]
            if left:
                settings[key] = [" ".join(left)]

    def tie(self) -> None:
        """Set ``after`` where the units want it and a job can; note the rest."""
        for name, key, other in self._said:
            if key in _ORDER:
                later, sooner = (name, other) if key == "After" else (other, name)
                for job in self._jobs.get(later, ()):
                    self._put_after(job, self._jobs.get(sooner, ()), f"{key}={other}")
            elif key in _BOUND:
                for job in self._jobs.get(name, ()):
                    job.note(
                        f"{key}={other}: it is not stopped or restarted with that one; both in a group with "
                        'strategy = "rest_for_one" would be'
                    )

    def _put_after(self, job: JobDraft, sooner: Iterable[JobDraft], said: str) -> None:
        for other in sooner:
            names = job.table.get("after", [])
            if other.name in names:
                continue
            if not _SCHEDULES.isdisjoint(other.table):
                job.note(f"{said}: {other.name} runs by a schedule, and that is not waited for")
            elif self._waits(other, job.name):
                job.note(f"{said}: left out, as {other.name} starts after {job.name}")
            else:
                job.set("after", [*names, other.name], said)

    def _waits(self, job: JobDraft, name: str) -> bool:
        """Tell whether a job is this one, or starts after it, perhaps through others."""
        tables: Mapping[str, Mapping[str, list[str]]] = job.draft.jobs
        waiting, seen = [job.name], set[str]()
        while waiting:
            each = waiting.pop()
            if each == name:
                return True
            if each not in seen:
                seen.add(each)
                waiting += tables[each].get("after", [])
        return False
