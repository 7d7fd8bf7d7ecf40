"""Ready, healthy, alive and not too old: what a process must show, and what follows where it does not."""

from datetime import timedelta

import pytest
from world import SECOND, World, long_lived, periodic, replace, worker

from supervisor.core.actions import Probe, Stop, Watch
from supervisor.core.checks import HealthCheck, OnUnhealthy, TcpProbe, Told
from supervisor.core.events import Beat, Cause, Checked, Ready
from supervisor.core.exits import Code, Signalled
from supervisor.core.job import Backoff as BackoffRule
from supervisor.core.job import Job
from supervisor.core.runs import Closed, SlotId
from supervisor.core.states import Backoff, Idle, Running, Starting, Stopping
from supervisor.core.status import health, state_word

ENDPOINT = TcpProbe("127.0.0.1:1")


def ready_by_word(**supervision: object) -> Job:
    return long_lived(ready=Told.NOTIFY, backoff=BackoffRule(jitter=0), **supervision)


def run_id(world: World) -> int:
    return min(world.alive)


def tell(world: World, fact: Ready | Beat | Checked) -> None:
    world.perform(world.board.handle(fact, world.now))


def last(world: World) -> Closed:
    row = world.board.slots[SlotId("web")].tally.last
    assert isinstance(row, Closed)
    return row


def test_a_job_is_starting_until_it_is_ready() -> None:
    world = World((ready_by_word(),))
    assert isinstance(world.state("web"), Starting)
    assert state_word(world.board.slots[SlotId("web")]) == "starting"
    tell(world, Ready(run_id(world)))
    assert isinstance(world.state("web"), Running)


def test_a_probe_is_ordered_with_the_process_and_health_is_watched_from_when_it_is_ready() -> None:
    job = long_lived(ready=ENDPOINT, health=HealthCheck(probe=ENDPOINT))
    world = World((job,))
    assert [type(order) for order in world.orders if isinstance(order, Probe | Watch)] == [Probe]
    tell(world, Ready(run_id(world)))
    assert [type(order) for order in world.orders if isinstance(order, Probe | Watch)] == [Probe, Watch]


def test_the_end_of_start_timeout_is_a_failure() -> None:
    world = World((ready_by_word(start_timeout=5 * SECOND),))
    world.until(world.now.wall + 5 * SECOND)
    assert world.stops() == [Cause.START_TIMEOUT]
    world.end_of("web", Signalled(15))
    assert isinstance(world.state("web"), Backoff)
    assert (last(world).outcome.value, last(world).reason) == ("timeout", "start_timeout: not ready within 5s")


def test_a_clean_end_before_ready_is_a_failure() -> None:
    world = World((ready_by_word(restart=long_lived().supervision.restart),))
    world.end_of("web", Code(0))
    assert (last(world).outcome.value, last(world).reason) == ("failed", "ended before it was ready")
    state = world.state("web")
    assert isinstance(state, Backoff)
    assert state.last == "ended before it was ready"


def test_the_streak_goes_on_while_a_job_runs_long_without_getting_ready() -> None:
    world = World((ready_by_word(start_timeout=timedelta(minutes=10)),))
    for streak in (1, 2):
        world.until(world.now.wall + timedelta(minutes=5))
        world.end_of("web", Code(1))
        assert world.board.slots[SlotId("web")].streak == streak


def test_a_worker_that_says_when_it_is_ready_must_also_serve() -> None:
    job = worker(ready=Told.NOTIFY)
    world = World((job,), workers=frozenset({"clock"}))
    assert isinstance(world.state("clock"), Starting)
    tell(world, Ready(run_id(world)))
    assert isinstance(world.state("clock"), Idle)


def sick(action: OnUnhealthy) -> World:
    world = World((long_lived(health=HealthCheck(probe=ENDPOINT, failures=2, action=action)),))
    tell(world, Checked(run_id(world), "refused"))
    tell(world, Checked(run_id(world), None))
    tell(world, Checked(run_id(world), "refused"))
    assert isinstance(world.state("web"), Running)
    tell(world, Checked(run_id(world), "refused again"))
    return world


def test_so_many_bad_looks_in_a_row_restart_it_by_its_policy() -> None:
    world = sick(OnUnhealthy.RESTART)
    assert world.stops() == [Cause.UNHEALTHY]
    assert health(world.board.slots[SlotId("web")], world.now) == ("unhealthy", "refused again")
    world.end_of("web", Code(0))
    assert (last(world).outcome.value, last(world).reason) == ("failed", "unhealthy: refused again")
    assert world.board.slots[SlotId("web")].tally.restarts == 1


def test_or_are_only_reported_until_a_good_one() -> None:
    world = sick(OnUnhealthy.REPORT)
    assert isinstance(world.state("web"), Running)
    assert health(world.board.slots[SlotId("web")], world.now) == ("unhealthy", "refused again")
    tell(world, Checked(run_id(world), None))
    world.until(world.now.wall + SECOND)
    assert health(world.board.slots[SlotId("web")], world.now) == ("ok", None)


def test_a_missed_heartbeat_is_a_hang_whose_stack_is_taken_before_the_stop() -> None:
    world = World((long_lived(heartbeat=10 * SECOND),))
    for _ in range(5):
        world.until(world.now.wall + 9 * SECOND)
        tell(world, Beat(run_id(world)))
    assert isinstance(world.state("web"), Running)
    world.until(world.now.wall + 10 * SECOND)
    assert isinstance(world.state("web"), Stopping)
    assert [order.dump for order in world.orders if isinstance(order, Stop)] == [True]
    assert health(world.board.slots[SlotId("web")], world.now)[0] == "hung"
    world.end_of("web", Signalled(9))
    assert (last(world).outcome.value, last(world).reason) == ("timeout", "hung: no heartbeat for 10s")


def test_a_heartbeat_is_not_asked_before_the_job_is_ready() -> None:
    world = World((ready_by_word(heartbeat=SECOND, start_timeout=None),))
    world.until(world.now.wall + timedelta(hours=1))
    assert isinstance(world.state("web"), Starting)


def test_a_tick_has_a_heartbeat_of_its_own() -> None:
    world = World((worker(heartbeat=10 * SECOND),), workers=frozenset({"clock"}))
    process = run_id(world)
    while not world.ticking:
        world.until(world.now.wall + 5 * SECOND)
        tell(world, Beat(process))
    world.until(world.now.wall + 10 * SECOND)
    assert world.stops() == [Cause.HUNG]


def test_an_old_process_is_restarted_and_not_charged() -> None:
    world = World((long_lived(max_age=timedelta(hours=1)),))
    world.until(world.now.wall + timedelta(hours=1))
    assert world.stops() == [Cause.MAX_AGE]
    world.end_of("web", Signalled(15))
    assert isinstance(world.state("web"), Running)
    assert world.board.slots[SlotId("web")].tally.restarts == 0
    assert last(world).outcome.value == "stopped"


@pytest.mark.parametrize("fact", [Ready(1), Beat(1), Checked(1, "bad")])
def test_what_a_job_does_not_ask_for_changes_nothing(fact: Ready | Beat | Checked) -> None:
    world = World((long_lived(),))
    before = world.board.slots[SlotId("web")]
    tell(world, replace(fact, run_id=run_id(world)))
    assert world.board.slots[SlotId("web")] == before


def test_a_job_that_calls_in_all_the_time_costs_no_more_than_one_deadline() -> None:
    world = World((ready_by_word(heartbeat=3600 * SECOND), periodic()))
    tell(world, Ready(run_id(world)))
    before = len(world.board._register.deadlines)
    for _ in range(100):
        world.until(world.now.wall + SECOND)  # the other job's is always the first of all deadlines
        tell(world, Beat(run_id(world)))
    assert len(world.board._register.deadlines) <= before
    world.until(world.now.wall + 3599 * SECOND)
    assert world.stops() == []
    world.until(world.now.wall + SECOND)
    assert world.stops() == [Cause.HUNG]
