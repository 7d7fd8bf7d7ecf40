"""What a reload would do to each job."""

from collections.abc import Iterable, Mapping, Sequence

from supervisor.core.differences import Difference, Effect, differences, effect
from supervisor.core.job import Job
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Stopped, Wanted
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a reload does to one job; a new one starts, one that is no longer in the manifest stops."""

    name: str
    before: Job | None
    after: Job | None
    effect: Effect
    differences: tuple[Difference, ...] = ()


def edits(slots: Mapping[SlotId, Slot], jobs: Sequence[Job]) -> tuple[Edit, ...]:
    """Return what applying these jobs would do to some slots, job by job, in manifest order; removed ones last."""
    known = {slot.job.name: slot for slot in slots.values() if slot.wanted is not Wanted.REMOVED}
    wanted = {job.name for job in jobs}
    found = [_edit(slots, known.get(job.name), job) for job in jobs]
    found += _removed(slot for name, slot in known.items() if name not in wanted)
    return tuple(found)


def _edit(slots: Mapping[SlotId, Slot], slot: Slot | None, job: Job) -> Edit:
    if slot is None:
        return Edit(name=job.name, before=None, after=job, effect=Effect.START if job.enabled else Effect.NONE)
    takes = effect(slot.job, job, slot.kind)
    instances = (slots.get(SlotId(job.name, number)) for number in range(1, slot.job.instances + 1))
    if takes is Effect.RESTART and all(each is None or isinstance(each.state, Stopped) for each in instances):
        takes = Effect.NEXT_RUN
    found = differences(slot.job, job, slot.kind) if takes is not Effect.NONE else ()
    return Edit(name=job.name, before=slot.job, after=job, effect=takes, differences=found)


def _removed(slots: Iterable[Slot]) -> list[Edit]:
    return [Edit(name=slot.job.name, before=slot.job, after=None, effect=Effect.STOP) for slot in slots]
