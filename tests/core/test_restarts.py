"""Who is restarted, how often, and after which wait: the rules of OTP's supervisor, plus back-off."""

from datetime import timedelta

import pytest
from world import SECOND, START, World, at, later, long_lived, periodic, replace, worker

from supervisor.core.actions import Kill, Spawn, Stop
from supervisor.core.events import Cause, Elapsed, RestartRequested, StartRequested, StopRequested
from supervisor.core.exits import Code, Exit, Lost, NotStarted, Signalled, SuccessExit
from supervisor.core.job import Backoff as BackoffRule
from supervisor.core.job import Limit, OnGiveUp, Restart, Supervision
from supervisor.core.policy import Again, GiveUp, Leave, Rest, charge, decide, delay
from supervisor.core.runs import Closed, NotRun, Outcome, SlotId, Trigger
from supervisor.core.states import Backoff, Failed, Finished, Idle, Running, Stopped, Stopping, Ticking
from supervisor.core.status import iso, report

CLEAN, BAD = Code(0), Code(1)
NO_BACKOFF: dict[str, object] = {
    "backoff": None,
    "limit": Limit(max_restarts=5, within=timedelta(seconds=60)),
}


@pytest.mark.parametrize(
    ("restart", "clean", "verdict"),
    [
        (Restart.ALWAYS, True, Again),
        (Restart.ALWAYS, False, Again),
        (Restart.ON_FAILURE, True, Rest),
        (Restart.ON_FAILURE, False, Again),
        (Restart.NEVER, True, Rest),
        (Restart.NEVER, False, Leave),
    ],
)
def test_the_table_of_restart_types(restart: Restart, clean: bool, verdict: type) -> None:  # noqa: FBT001
    rules = Supervision(restart=restart)
    assert isinstance(decide(rules, clean=clean, window=(), streak=0, now=START, luck=0.5), verdict)


@pytest.mark.parametrize(
    ("ages", "allowed"),
    [
        ([], True),
        ([60], True),
        ([60, 30], True),
        ([60, 30, 0], False),
        ([61, 30, 0], True),
        ([61, 60.000001, 60], True),
    ],
)
def test_a_restart_counts_while_its_age_is_at_most_within(ages: list[float], allowed: bool) -> None:  # noqa: FBT001
    limit = Limit(max_restarts=3, within=timedelta(seconds=60))
    window = tuple(later(-timedelta(seconds=age)) for age in ages)
    assert (charge(window, limit, START) is not None) == allowed


def test_max_restarts_zero_gives_up_at_the_first_needed_restart() -> None:
    rules = Supervision(backoff=None, limit=Limit(max_restarts=0, within=timedelta(seconds=60)))
    assert decide(rules, clean=False, window=(), streak=0, now=START, luck=0.5) == GiveUp(0, timedelta(seconds=60))


def test_backoff_grows_by_its_factor_up_to_max() -> None:
    rule = BackoffRule(initial=timedelta(milliseconds=500), factor=2, max=timedelta(seconds=30), jitter=0)
    waits = [delay(rule, streak, 0.5).total_seconds() for streak in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert delay(rule, 100_000, 0.5) == timedelta(seconds=30)


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_jitter_moves_the_delay_both_ways(luck: float, seconds: float) -> None:
    rule = BackoffRule(initial=SECOND, jitter=0.1)
    assert delay(rule, 1, luck) == timedelta(seconds=seconds)


def test_a_long_lived_job_starts_when_it_is_taken_on() -> None:
    world = World((long_lived(),))
    assert isinstance(world.state("web"), Running)
    assert [run.trigger for run in world.alive.values()] == [Trigger.START]


def test_gives_up_when_restarts_fill_the_window() -> None:
    world = World((long_lived(**NO_BACKOFF),))
    for _ in range(5):
        world.end_of("web", BAD)
        assert isinstance(world.state("web"), Running)
    world.end_of("web", BAD)
    state = world.state("web")
    assert isinstance(state, Failed)
    assert state.reason == "gave up after 5 restarts in 1m: exit 1"
    assert not world.alive


def test_clean_ends_of_an_always_job_are_charged() -> None:
    world = World((long_lived(**NO_BACKOFF),))
    for _ in range(6):
        world.end_of("web", CLEAN)
    assert isinstance(world.state("web"), Failed)


def test_with_backoff_and_no_limit_it_is_tried_for_ever() -> None:
    world = World((long_lived(),))
    for _ in range(50):
        world.end_of("web", BAD)
        state = world.state("web")
        assert isinstance(state, Backoff)
        world.now = later(state.until - world.now.mono, world.now)
        world.perform(world.board.advance(world.now))
    assert world.board.slots[SlotId("web")].tally.restarts == 50
    assert world.board.slots[SlotId("web")].tally.runs == 51


def test_the_streak_ends_after_within_of_good_running() -> None:
    job = long_lived(backoff=BackoffRule(jitter=0))
    world = World((job,))
    for expected in (0.5, 1, 2):
        world.end_of("web", BAD)
        state = world.state("web")
        assert isinstance(state, Backoff)
        assert state.until - world.now.mono == timedelta(seconds=expected)
        world.until(world.now.wall + (state.until - world.now.mono))
    world.until(world.now.wall + timedelta(seconds=60))
    world.end_of("web", BAD)
    state = world.state("web")
    assert isinstance(state, Backoff)
    assert state.until - world.now.mono == timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("ended", "success"),
    [
        (Code(75), SuccessExit(codes=frozenset({0, 75}))),
        (Signalled(15), SuccessExit(signals=frozenset({15}))),
    ],
)
def test_success_exit_says_what_is_clean(ended: Exit, success: SuccessExit) -> None:
    world = World((long_lived(restart=Restart.ON_FAILURE, success_exit=success),))
    world.end_of("web", ended)
    assert isinstance(world.state("web"), Finished)


def test_a_lost_process_is_restarted_at_once_and_not_charged() -> None:
    world = World((long_lived(),))
    world.end_of("web", Lost("fork server died"))
    assert isinstance(world.state("web"), Running)
    slot = world.board.slots[SlotId("web")]
    assert (slot.tally.restarts, slot.streak, slot.window) == (0, 0, ())
    assert [row.outcome for row in world.rows if hasattr(row, "outcome")] == [Outcome.LOST]


def test_a_start_that_fails_is_answered_by_the_restart_policy() -> None:
    world = World((long_lived(restart=Restart.NEVER),))
    world.end_of("web", NotStarted("exec", 2, "No such file or directory: web"))
    state = world.state("web")
    assert isinstance(state, Failed)
    assert state.reason == "exec: No such file or directory: web"


def test_stop_by_hand_holds_and_is_not_judged() -> None:
    world = World((long_lived(),))
    world.tell("web", StopRequested())
    assert isinstance(world.state("web"), Stopping)
    assert isinstance(world.orders[-1], Stop)
    world.end_of("web", BAD)
    assert isinstance(world.state("web"), Stopped)
    assert world.saved[SlotId("web")].held
    assert world.board.slots[SlotId("web")].tally.failures == 0


def test_what_a_held_job_missed_while_the_supervisor_was_down_has_one_row_and_is_never_made_up() -> None:
    world = World((periodic(),))
    world.tell("poll", StopRequested())
    following = world.killed(until=at("12:06"))
    missed = [(row.run.due_at, row.reason) for row in following.rows if isinstance(row, NotRun)]
    assert missed == [(at("12:05"), "stopped by hand")]
    following.tell("poll", StartRequested())
    following.until(at("12:09"))
    assert [row for row in following.rows if not isinstance(row, NotRun)] == []
    assert len(following.rows) == 1


def test_a_held_job_stays_held_over_a_restart_of_the_supervisor() -> None:
    first = World((long_lived(),))
    first.tell("web", StopRequested())
    first.end_of("web")
    second = first.killed(until=later(SECOND).wall)
    assert isinstance(second.state("web"), Stopped)
    second.tell("web", StartRequested())
    assert isinstance(second.state("web"), Running)


def test_a_stop_that_is_not_obeyed_is_a_kill_after_stop_timeout() -> None:
    world = World((long_lived(stop_timeout=timedelta(seconds=10)),))
    world.tell("web", StopRequested())
    world.until(later(timedelta(seconds=9)).wall)
    assert isinstance(world.state("web"), Stopping)
    world.until(later(timedelta(seconds=10)).wall)
    assert isinstance(world.state("web"), Stopped)


def test_stop_timeout_zero_kills_at_once() -> None:
    world = World((long_lived(stop_timeout=timedelta(0)),))
    world.tell("web", StopRequested())
    assert isinstance(world.state("web"), Stopped)
    assert any(isinstance(order, Kill) for order in world.orders)
    assert not any(isinstance(order, Stop) for order in world.orders)


def test_stop_timeout_none_waits_for_ever() -> None:
    world = World((long_lived(stop_timeout=None),))
    world.tell("web", StopRequested())
    world.until(later(timedelta(days=300)).wall)
    assert isinstance(world.state("web"), Stopping)


def test_stop_during_backoff_cancels_it() -> None:
    world = World((long_lived(),))
    world.end_of("web", BAD)
    world.tell("web", StopRequested())
    assert isinstance(world.state("web"), Stopped)
    world.until(later(timedelta(hours=1)).wall)
    assert isinstance(world.state("web"), Stopped)


def test_a_start_by_hand_is_immediate_and_clears_streak_and_window() -> None:
    world = World((long_lived(**NO_BACKOFF),))
    for _ in range(6):
        world.end_of("web", BAD)
    world.tell("web", StartRequested())
    slot = world.board.slots[SlotId("web")]
    assert isinstance(slot.state, Running)
    assert (slot.window, slot.streak) == ((), 0)


def test_a_start_waits_for_the_real_end_of_the_old_process() -> None:
    world = World((long_lived(),))
    world.tell("web", StopRequested())
    world.tell("web", StartRequested())
    assert len([order for order in world.orders if isinstance(order, Spawn)]) == 1
    world.end_of("web")
    assert len([order for order in world.orders if isinstance(order, Spawn)]) == 2
    assert isinstance(world.state("web"), Running)


def test_restart_by_hand_is_not_charged() -> None:
    world = World((long_lived(**NO_BACKOFF),))
    for _ in range(20):
        world.tell("web", RestartRequested())
        world.end_of("web", BAD)
    slot = world.board.slots[SlotId("web")]
    assert isinstance(slot.state, Running)
    assert slot.tally.restarts == 0


def test_shutdown_stops_everything_and_keeps_no_hold() -> None:
    world = World((long_lived("a"), long_lived("b"), periodic()))
    world.perform(world.board.shut_down(0, world.now))
    assert not world.board.is_at_rest
    world.end_of("a")
    world.end_of("b")
    assert world.board.is_at_rest
    assert not any(saved.held for saved in world.saved.values())


def test_shutdown_kills_what_is_left_after_its_own_deadline() -> None:
    world = World((long_lived("a", stop_timeout=None),))
    world.perform(world.board.shut_down(0, world.now))
    world.until(later(timedelta(seconds=30)).wall)
    assert world.board.is_at_rest


def test_an_essential_job_that_gives_up_ends_the_supervisor_with_1() -> None:
    job = long_lived("web", on_give_up=OnGiveUp.ESCALATE, **NO_BACKOFF)
    world = World((job, long_lived("other")))
    for _ in range(6):
        world.end_of("web", BAD)
    assert world.board.ending is not None
    assert world.board.ending.code == 1
    assert isinstance(world.state("other"), Stopping)


def test_the_root_group_restarts_an_essential_job_with_a_fresh_count_where_it_may() -> None:
    job = long_lived("web", on_give_up=OnGiveUp.ESCALATE, **NO_BACKOFF)
    world = World((job,), root=Limit(max_restarts=2, within=timedelta(seconds=60)))
    starts = 0
    while world.board.ending is None:
        starts += 1
        world.end_of("web", BAD)
    assert starts == (2 + 1) * (5 + 1)


def test_a_fenced_job_leaves_the_others_alone() -> None:
    world = World((long_lived("web", **NO_BACKOFF), long_lived("other")))
    for _ in range(6):
        world.end_of("web", BAD)
    assert world.board.ending is None
    assert isinstance(world.state("other"), Running)


def test_a_worker_ticks_in_one_process() -> None:
    world = World((worker(),), workers=frozenset({"clock"}))
    assert isinstance(world.state("clock"), Idle)
    for _ in range(3):
        world.until(world.now.wall + timedelta(minutes=5))
        assert isinstance(world.state("clock"), Ticking)
        world.end_tick_of("clock")
    assert len(world.alive) == 1
    slot = world.board.slots[SlotId("clock")]
    assert (slot.tally.runs, slot.tally.failures) == (3, 0)


def test_a_tick_that_raises_ends_the_process_and_is_charged() -> None:
    world = World((worker(backoff=BackoffRule(jitter=0)),), workers=frozenset({"clock"}))
    world.until(world.now.wall + timedelta(minutes=5))
    world.end_of("clock", BAD)
    slot = world.board.slots[SlotId("clock")]
    assert isinstance(slot.state, Backoff)
    assert (slot.tally.runs, slot.tally.failures, slot.tally.restarts) == (1, 1, 1)
    world.until(world.now.wall + timedelta(seconds=1))
    assert isinstance(world.state("clock"), Idle)


def test_a_due_time_in_a_workers_backoff_is_skipped() -> None:
    slow = BackoffRule(initial=timedelta(minutes=10), max=timedelta(minutes=10), jitter=0)
    world = World((worker(backoff=slow),), workers=frozenset({"clock"}))
    world.until(world.now.wall + timedelta(minutes=5))
    world.end_of("clock", BAD)
    world.until(world.now.wall + timedelta(minutes=6))
    assert [outcome for _, outcome in world.finals("clock") if outcome == "skipped"] == ["skipped"]


def test_a_stop_in_a_tick_stops_the_worker() -> None:
    world = World((worker(),), workers=frozenset({"clock"}))
    world.until(world.now.wall + timedelta(minutes=5))
    world.tell("clock", StopRequested())
    assert world.stops() == [Cause.STOP]
    world.end_tick_of("clock")
    world.end_of("clock")
    assert isinstance(world.state("clock"), Stopped)
    assert [outcome for due, outcome in world.finals("clock") if due] == ["ok"]


def test_a_timeout_stops_the_run_and_says_so() -> None:
    world = World((periodic(timeout=SECOND),))
    world.until(world.now.wall + timedelta(minutes=5, seconds=2))
    assert world.stops() == [Cause.TIMEOUT]
    world.end_of("poll", Signalled(15))
    assert [outcome for _, outcome in world.finals("poll")] == ["timeout"]


def test_a_second_report_of_a_run_is_ignored() -> None:
    world = World((long_lived(),))
    run_id = min(world.alive)
    world.end(run_id, BAD)
    before = dict(world.board.slots)
    world.alive[run_id] = replace(next(iter(world.alive.values()), None) or _any_run(world))
    world.end(run_id, BAD)
    assert world.board.slots == before


def _any_run(world: World) -> object:
    return next(order.run for order in world.orders if isinstance(order, Spawn))


def test_a_quiet_board_has_no_deadline() -> None:
    world = World(tuple(long_lived(f"job{n}") for n in range(10)))
    world.until(later(timedelta(minutes=1)).wall)
    assert world.board.deadline() is None


def test_an_elapsed_that_nobody_waits_for_changes_nothing() -> None:
    world = World((long_lived(),))
    world.until(later(timedelta(minutes=1)).wall)
    before = world.state("web")
    world.tell("web", Elapsed())
    assert world.state("web") is before


def test_a_due_time_before_the_target_is_known_waits_for_it() -> None:
    job = replace(worker(), timing=replace(worker().timing, run_at_start=True))
    world = World((job,), workers=frozenset({"clock"}))
    world.until(world.now.wall)
    assert [due for _, due, _ in world.starts] == [START.wall]
    assert isinstance(world.state("clock"), Ticking)


def test_a_worker_that_is_asked_to_stop_in_a_tick_is_killed_after_its_stop_timeout() -> None:
    world = World((worker(stop_timeout=5 * SECOND),), workers=frozenset({"clock"}))
    world.until(world.now.wall + timedelta(minutes=5))
    world.tell("clock", StopRequested())
    world.until(world.now.wall + 5 * SECOND)
    assert isinstance(world.state("clock"), Stopped)
    assert [outcome for due, outcome in world.finals("clock") if due] == ["stopped"]
    assert sum(isinstance(order, Kill) for order in world.orders) == 1


def test_status_tells_of_a_backoff_and_of_the_next_try() -> None:
    world = World((long_lived("web", backoff=BackoffRule(initial=5 * SECOND, jitter=0)),))
    world.end_of("web", BAD)
    [row] = report(world.board.slots.values(), {}, world.now, lambda _: "")
    assert (row["state"], row["health"], row["reason"]) == ("backoff", "failing", "exit 1")
    assert row["next_due_at"] == iso(world.now.wall + 5 * SECOND)


@pytest.mark.parametrize(("ended", "code", "number"), [(Code(3), 3, 15), (Signalled(15), None, 15), (Code(0), 0, 15)])
def test_a_handler_that_hid_the_signal_of_a_time_out_hides_nothing_in_the_record(
    ended: Exit, code: int | None, number: int
) -> None:
    world = World((periodic("poll", timeout=SECOND),))
    world.until(world.now.wall + timedelta(minutes=5, seconds=2))
    world.end_of("poll", ended)
    row = world.board.slots[SlotId("poll")].tally.last
    assert isinstance(row, Closed)
    assert (row.outcome.value, row.exit_code, row.signal) == ("timeout", code, number)


def test_an_end_that_was_asked_for_has_no_signal_but_its_own() -> None:
    world = World((long_lived("web"),))
    world.tell("web", StopRequested())
    world.end_of("web", Code(0))
    row = world.board.slots[SlotId("web")].tally.last
    assert isinstance(row, Closed)
    assert (row.outcome.value, row.exit_code, row.signal) == ("stopped", 0, None)
