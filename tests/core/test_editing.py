from datetime import timedelta

import pytest
from world import MINUTE, SECOND, World, at, long_lived, periodic, worker

from supervisor.core.actions import Keep, Kill, Stop
from supervisor.core.differences import Effect
from supervisor.core.events import StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Command, Job, Limit, Overlap
from supervisor.core.runs import Finalized, SlotId
from supervisor.core.states import Backoff, Disabled, Finished, Idle, Running, Stopped, Stopping, Waiting
from supervisor.core.status import Health, health
from supervisor.values import replace

OTHER = Command(argv=("other",))


def reload(world: World, *jobs: Job, at_once: bool = False) -> None:
    world.perform(world.board.apply(jobs, world.now, at_once=at_once))


def test_a_running_periodic_run_ends_on_its_old_settings() -> None:
    world = World((periodic(),))
    world.until(at("12:05"))
    reload(world, replace(periodic(), target=OTHER))
    assert isinstance(world.state("poll"), Running)
    assert world.stops() == []
    world.end_of("poll")
    assert isinstance(world.state("poll"), Waiting)
    world.until(at("12:10"))
    assert world.board.slots[SlotId("poll")].state.process.job.target == OTHER  # type: ignore[union-attr]


def test_a_running_periodic_run_is_ended_where_the_reload_counts_at_once() -> None:
    world = World((periodic(),), obedient=True)
    world.until(at("12:05"))
    reload(world, replace(periodic(), target=OTHER), at_once=True)
    assert isinstance(world.state("poll"), Waiting)
    assert world.finals("poll") == [(at("12:05"), "stopped")]


def test_a_run_is_not_ended_for_what_shows_live() -> None:
    world = World((periodic(),))
    world.until(at("12:05"))
    reload(world, replace(periodic(), description="new"), at_once=True)
    assert isinstance(world.state("poll"), Running)


def test_runs_beside_the_active_one_end_too_where_the_reload_counts_at_once() -> None:
    job = periodic(overlap=Overlap.ALLOW)
    world = World((job,), obedient=True)
    world.until(at("12:10"))
    assert len(world.alive) == 2
    reload(world, replace(job, target=OTHER), at_once=True)
    assert not world.alive
    assert set(world.board.slots) == {SlotId("poll")}


def test_a_disabled_job_ends_its_run_in_peace_and_has_no_retry() -> None:
    world = World((periodic(retries=3),))
    world.until(at("12:05"))
    reload(world, replace(periodic(retries=3), enabled=False))
    assert isinstance(world.state("poll"), Running)
    world.end_of("poll", Code(1))
    assert isinstance(world.state("poll"), Disabled)
    assert world.finals("poll") == [(at("12:05"), "failed")]


def test_a_retry_that_a_disabled_job_waited_for_leaves_a_final_row() -> None:
    world = World((periodic(retries=3),))
    world.until(at("12:05"))
    world.end_of("poll", Code(1))
    assert isinstance(world.state("poll"), Backoff)
    reload(world, replace(periodic(retries=3), enabled=False))
    assert isinstance(world.state("poll"), Disabled)
    assert [
        order.record.run_id for order in world.orders if isinstance(order, Keep) and isinstance(order.record, Finalized)
    ] == [1]


def test_a_disabled_long_lived_job_stops() -> None:
    world = World((long_lived(),), obedient=True)
    reload(world, replace(long_lived(), enabled=False))
    assert isinstance(world.state("web"), Disabled)


@pytest.mark.parametrize(("is_worker", "key"), [(True, "retries"), (False, "restart")])
def test_a_key_for_the_other_kind_is_told_until_it_is_edited_away(*, is_worker: bool, key: str) -> None:
    job = replace(worker("poll"), written=frozenset({key}), where="jobs.toml:3")
    world = World((job,), obedient=True, workers=frozenset({"poll"} if is_worker else ()))
    world.until(at("12:01"))
    assert isinstance(world.state("poll"), Idle if is_worker else Waiting)
    slot = world.board.slots[SlotId("poll")]
    told, why = health(slot, world.now)
    assert told is Health.FAILING
    assert why is not None
    assert why.startswith(f'job "poll" (jobs.toml:3): `{key}` does not apply to a ')
    reload(world, replace(job, where="jobs.toml:5"))
    assert "(jobs.toml:5)" in (health(world.board.slots[SlotId("poll")], world.now)[1] or "")
    reload(world, replace(job, written=frozenset()))
    assert health(world.board.slots[SlotId("poll")], world.now) == (Health.OK, None)


def test_a_periodic_job_that_becomes_long_lived_ends_its_run_first() -> None:
    world = World((periodic(),))
    world.until(at("12:05"))
    reload(world, long_lived("poll"))
    run_id = next(iter(world.alive))
    world.end_of("poll")
    assert isinstance(world.state("poll"), Running)
    assert run_id not in world.alive


@pytest.mark.parametrize("job", [long_lived("job"), worker("job")])
def test_what_lives_on_restarts(job: Job) -> None:
    world = World((job,), workers=frozenset({"job"}))
    reload(world, replace(job, process=replace(job.process, cwd="/tmp")))  # noqa: S108  # a value
    assert isinstance(world.state("job"), Stopping)
    first = next(iter(world.alive))
    world.end_of("job")
    assert len(world.alive) == 1
    assert first not in world.alive


def test_a_finished_job_does_not_start_for_what_its_next_run_keeps() -> None:
    job = long_lived(restart="on-failure")
    world = World((job,))
    world.end_of("web")
    assert isinstance(world.state("web"), Finished)
    reload(world, replace(job, supervision=replace(job.supervision, stop_timeout=MINUTE)))
    assert isinstance(world.state("web"), Finished)
    reload(world, replace(job, target=OTHER))
    assert isinstance(world.state("web"), Running)


def test_a_held_job_stays_held_and_the_plan_says_at_its_next_run() -> None:
    world = World((long_lived(),), obedient=True)
    world.tell("web", StopRequested())
    edit = replace(long_lived(), target=OTHER)
    (planned,) = world.board.edits((edit,))
    assert planned.effect is Effect.NEXT_RUN
    reload(world, edit)
    assert isinstance(world.state("web"), Stopped)


def test_the_plan_names_new_and_removed_jobs() -> None:
    world = World((long_lived("old"), long_lived("same")))
    plan = world.board.edits((long_lived("same"), long_lived("new")))
    assert [(edit.name, edit.effect) for edit in plan] == [
        ("same", Effect.NONE),
        ("new", Effect.START),
        ("old", Effect.STOP),
    ]


def test_a_changed_job_is_stopped_by_its_old_stop_settings() -> None:
    world = World((long_lived("web", stop_timeout=5 * SECOND, stop_signal=2),))
    new = replace(long_lived("web", stop_timeout=timedelta(hours=1), stop_signal=3), target=Command(argv=("other",)))
    world.perform(world.board.apply((new,), world.now))
    [order] = [order for order in world.orders if isinstance(order, Stop)]
    assert order.signal == 2
    world.until(world.now.wall + 5 * SECOND)
    assert any(isinstance(order, Kill) for order in world.orders)


def test_a_removed_jobs_hold_and_window_are_forgotten() -> None:
    job = long_lived("web", backoff=None, limit=Limit(max_restarts=1, within=timedelta(hours=1)))
    world = World((job,), obedient=True)
    world.end_of("web", Code(1))
    world.tell("web", StopRequested())
    world.perform(world.board.apply((), world.now))
    assert SlotId("web") not in world.saved
    world.perform(world.board.apply((job,), world.now))
    assert isinstance(world.state("web"), Running)
    world.end_of("web", Code(1))
    assert isinstance(world.state("web"), Running)
