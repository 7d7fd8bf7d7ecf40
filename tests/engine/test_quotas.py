from supervisor.core.job import Command, Job, Limits, Process
from supervisor.engine.cgroups import Delegation
from supervisor.engine.quotas import Quotas


def job(name: str, cpu: int | None) -> Job:
    return Job(name=name, target=Command(argv=("true",)), process=Process(limits=Limits(cpu=cpu)))


def test_a_share_of_cpus_that_nothing_keeps_is_told_once_a_job_and_why() -> None:
    warned: list[str] = []
    quotas = Quotas(None, warned.append)
    for name, cpu in (("b", 50), ("a", 150), ("b", 50), ("free", None)):
        quotas.note(job(name, cpu))
    why = "there are no cgroups to divide (a unit has them by Delegate=yes)"
    assert warned == [f"limits.cpu is not kept of b: {why}", f"limits.cpu is not kept of a: {why}"]
    assert quotas.warnings == (f"limits.cpu is not kept of a, b: {why}",)
    quotas.note(job("a", None))
    assert quotas.warnings == (f"limits.cpu is not kept of b: {why}",)


def test_it_is_kept_where_there_is_the_controller_for_it() -> None:
    warned: list[str] = []
    for controllers in (("memory", "pids"), ("memory", "pids", "cpu")):
        quotas = Quotas(Delegation("/x", controllers), warned.append)
        quotas.note(job("a", 50))
    assert quotas.warnings == ()
    [warning] = warned
    assert warning.startswith("limits.cpu is not kept of a: the supervisor has no controller for it")
