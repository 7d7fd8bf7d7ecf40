"""The numbers of instances that people want, where those are not the manifest's."""

from collections.abc import Iterable, Mapping, Sequence

from supervisor.core.job import Job
from supervisor.core.runs import Saved, Scaled, SlotId
from supervisor.values import replace


class Scales:
    """Live numbers by job. Each holds until the manifest's own number is edited."""

    def __init__(self) -> None:
        self.wanted: dict[str, Scaled] = {}
        """By job."""

    def recall(self, jobs: Iterable[Job], saved: Mapping[SlotId, Saved]) -> None:
        """Take what an earlier supervisor has kept."""
        for job in jobs:
            first = saved.get(SlotId(job.name))
            if first is not None and first.scaled is not None:
                self.wanted[job.name] = first.scaled

    def set(self, job: Job, instances: int) -> None:
        """Note the number that a person wants of a job, as the manifest tells it."""
        self.wanted[job.name] = Scaled(of=job.instances, to=instances)

    def keep_to(self, jobs: Iterable[Job]) -> None:
        """Forget the numbers of jobs whose own was edited, and those that are no others than the manifest's."""
        numbers = {job.name: job.instances for job in jobs}
        self.wanted = {name: each for name, each in self.wanted.items() if each.of == numbers.get(name) != each.to}

    def of(self, slot_id: SlotId) -> Scaled | None:
        """Return what a slot is to keep of it: a job's first instance keeps all."""
        return self.wanted.get(slot_id.job) if slot_id == SlotId(slot_id.job) else None

    def scaled(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs of the manifest with the instances that people want of them."""
        return [self._scaled(job) for job in jobs]

    def _scaled(self, job: Job) -> Job:
        wanted = self.wanted.get(job.name)
        return job if wanted is None or wanted.of != job.instances else replace(job, instances=wanted.to)
