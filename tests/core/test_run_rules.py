"""One due time: its attempts, what bounds them, and when its job is late, paused or blocked."""

from datetime import datetime, timedelta

import pytest
from world import MINUTE, SECOND, START, World, at, periodic, worker

from supervisor.core.actions import Stop
from supervisor.core.events import PauseRequested, ResumeRequested, StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Missed, Overlap, Supervision
from supervisor.core.runs import Closed, NotRun, SlotId, Trigger
from supervisor.core.schedule import Every
from supervisor.core.slot import Slot
from supervisor.core.states import Blocked
from supervisor.core.status import Health, health, report, state_word
from supervisor.values import replace

HOUR = timedelta(hours=1)
POLL = SlotId("poll")


def retrying(wait: timedelta, schedule: Every | None = None, **timing: object) -> Job:
    rules = Supervision(backoff=Backoff(initial=wait, factor=1, max=wait, jitter=0))
    return replace(periodic(schedule=schedule, **timing), supervision=rules)


def slot(world: World, name: str = "poll") -> Slot:
    return world.board.slots[SlotId(name)]


def attempts(world: World) -> list[tuple[datetime | None, int, str, bool]]:
    return [
        (row.run.due_at, row.run.attempt, row.outcome.value, row.final) for row in world.rows if isinstance(row, Closed)
    ]


def of_status(world: World, name: str = "poll") -> dict[str, object]:
    rows = report(world.board.slots.values(), {}, world.now, lambda _: "")
    return next(row for row in rows if row["name"] == name)


# -- attempts ----------------------------------------------------------------------------------------------------------


def test_one_row_an_attempt_and_one_of_them_final() -> None:
    world = World((retrying(MINUTE, retries=2),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    due = at("12:05")
    assert attempts(world) == [(due, 1, "failed", False), (due, 2, "failed", False), (due, 3, "failed", True)]


@pytest.mark.parametrize(("retries", "expected"), [(0, []), (1, [at("12:05")])])
def test_a_lost_run_is_tried_again_only_as_retries_say(retries: int, expected: list[datetime]) -> None:
    first = World((retrying(MINUTE, retries=retries),))
    first.until(at("12:05:30"))
    second = first.killed(until=at("12:06"))
    second.until(at("12:08"), lasting=SECOND)
    assert [due for _, due, _ in second.starts] == expected


def test_a_retry_says_so_and_keeps_the_due_time() -> None:
    world = World((retrying(MINUTE, retries=1),))
    world.until(at("12:05:30"))
    world.end_of("poll", Code(1))
    world.until(at("12:07"))
    [run] = world.alive.values()
    assert (run.trigger, run.due_at, run.attempt) == (Trigger.RETRY, at("12:05"), 2)


def test_a_retry_still_waiting_when_the_next_due_time_comes_is_dropped() -> None:
    world = World((retrying(8 * MINUTE, retries=3),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    world.until(at("12:11"), lasting=SECOND)
    assert [(due, start) for _, due, start in world.starts] == [(at("12:05"), at("12:05")), (at("12:10"), at("12:10"))]


def test_also_where_the_job_is_paused_and_nothing_starts_in_its_place() -> None:
    world = World((retrying(8 * MINUTE, retries=3),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    world.tell("poll", PauseRequested())
    world.until(at("12:14"), lasting=SECOND)
    assert len(world.starts) == 1
    assert world.finals("poll") == [(at("12:10"), "missed")]


def test_a_retry_of_a_paused_job_goes_on_until_then() -> None:
    world = World((retrying(MINUTE, retries=1),))
    world.until(at("12:05:30"), lasting=SECOND, ended=Code(1))
    world.tell("poll", PauseRequested())
    world.until(at("12:09"), lasting=SECOND)
    assert world.finals("poll") == [(at("12:05"), "ok")]


# -- what bounds them --------------------------------------------------------------------------------------------------


def test_at_its_timeout_a_run_is_dumped_then_stopped_and_its_outcome_is_timeout() -> None:
    world = World((periodic(timeout=MINUTE),), obedient=True)
    world.until(at("12:06"))
    [order] = [order for order in world.orders if isinstance(order, Stop)]
    assert (order.dump, order.cause.value) == (True, "timeout")
    assert world.finals("poll") == [(at("12:05"), "timeout")]


def test_a_timeout_is_of_one_attempt() -> None:
    world = World((retrying(MINUTE, retries=1, timeout=MINUTE),), obedient=True)
    world.until(at("12:09"))
    assert [start for _, _, start in world.starts] == [at("12:05"), at("12:07")]
    assert [outcome for _, _, outcome, _ in attempts(world)] == ["timeout", "timeout"]


def test_the_timeout_of_a_tick_ends_the_process_of_its_worker() -> None:
    job = replace(worker(), timing=periodic(timeout=MINUTE).timing)
    world = World((job,), workers=frozenset({"clock"}), obedient=True)
    process = min(world.alive)
    world.until(at("12:06"))
    assert process not in world.alive
    assert (at("12:05"), "timeout") in world.finals("clock")


def test_the_deadline_is_of_all_attempts_of_a_due_time() -> None:
    world = World((retrying(MINUTE, retries=9, deadline=150 * SECOND),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    assert [start for _, _, start in world.starts] == [at("12:05"), at("12:06:01"), at("12:07:02")]
    assert world.finals("poll") == [(at("12:05"), "failed")]


def test_the_attempt_that_runs_at_the_deadline_is_stopped_and_none_follows() -> None:
    world = World((retrying(MINUTE, retries=9, deadline=150 * SECOND),), obedient=True)
    world.until(at("12:05:30"))
    world.end_of("poll", Code(1))
    world.until(at("12:09"))
    assert attempts(world) == [(at("12:05"), 1, "failed", False), (at("12:05"), 2, "timeout", True)]
    assert [row.reason for row in world.rows if isinstance(row, Closed)][-1] == "deadline"


@pytest.mark.parametrize(("deadline", "expected"), [(MINUTE, []), (10 * MINUTE, ["ok"])])
def test_the_deadline_goes_on_while_the_supervisor_is_down(deadline: timedelta, expected: list[str]) -> None:
    first = World((retrying(SECOND, retries=1, deadline=deadline),))
    first.until(at("12:05:30"))
    second = first.killed(until=at("12:07"))
    second.until(at("12:08"), lasting=SECOND)
    assert [outcome for _, outcome in second.finals("poll")[1:]] == expected


def test_a_retry_without_room_is_missed_at_the_deadline() -> None:
    jobs = (periodic("other", schedule=Every(interval=HOUR, offset=SECOND)), retrying(MINUTE, Every(interval=HOUR)))
    jobs = (jobs[0], replace(jobs[1], timing=periodic(retries=9, deadline=10 * MINUTE).timing))
    world = World(jobs, max_running=1)
    world.until(at("13:00:00"))
    world.end_of("poll", Code(1))
    world.until(at("13:09:59"))
    assert isinstance(world.state("poll"), Blocked)
    world.until(at("13:10"))
    assert world.finals("poll") == [(at("13:00"), "missed")]


# -- jitter ------------------------------------------------------------------------------------------------------------


def test_jitter_delays_the_start_and_not_the_due_time() -> None:
    world = World((periodic(schedule=Every(interval=HOUR), jitter=30 * MINUTE),))
    world.until(at("20:00"), lasting=SECOND)
    delays = [start - due for _, due, start in world.starts if due is not None]
    assert len(delays) == 7
    assert len(set(delays)) == 7, "each due time has its own"
    assert all(timedelta(0) <= delay < 30 * MINUTE for delay in delays)
    assert [due for _, due, _ in world.starts] == [at(f"{hour}:00") for hour in range(13, 20)]


def test_jitter_never_reaches_past_the_next_due_time_and_is_the_same_after_a_restart() -> None:
    job = periodic(jitter=HOUR)
    world = World((job,))
    world.until(at("12:03"))
    planned = slot(world).table
    again = slot(world.killed(until=at("12:04"))).table
    assert planned is not None
    assert again is not None
    assert planned.next is not None
    assert again.next is not None
    late = planned.next.at - planned.next.exact
    assert timedelta(0) <= late <= 5 * MINUTE
    assert again.next.at - again.next.exact == late


def test_a_reload_deals_no_new_jitter() -> None:
    job = periodic(schedule=Every(interval=HOUR), jitter=30 * MINUTE)
    world = World((job,))
    before = slot(world).deadline
    world.perform(world.board.apply((replace(job, description="edited"),), world.now))
    assert slot(world).deadline == before


# -- late --------------------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_too_long_past_its_due_time_is_late() -> None:
    world = World((periodic(late_after=2 * MINUTE),))
    world.until(at("12:07"))
    assert health(slot(world), world.now) == (Health.OK, None)
    world.until(at("12:07:01"))
    assert health(slot(world), world.now) == (Health.LATE, "due 2026-11-24T12:05:00Z, running")
    world.end_of("poll")
    assert health(slot(world), world.now) == (Health.OK, None)


def test_a_due_time_that_has_not_started_for_too_long_is_late() -> None:
    world = World((periodic("first"), periodic(late_after=2 * MINUTE)), max_running=1)
    world.until(at("12:07:01"))
    assert health(slot(world), world.now) == (Health.LATE, "due 2026-11-24T12:05:00Z, not started")


def test_a_run_beside_that_goes_on_too_long_is_late_although_later_ones_are_quick() -> None:
    world = World((periodic(late_after=12 * MINUTE, overlap=Overlap.ALLOW),))
    world.until(at("12:06"))
    world.until(at("12:18"), lasting=lambda run: None if run.due_at == at("12:05") else SECOND)
    assert health(slot(world), world.now) == (Health.LATE, "due 2026-11-24T12:05:00Z, running")


def test_lateness_keeps_the_due_time_also_of_a_start_that_jitter_delays() -> None:
    world = World((periodic(schedule=Every(interval=HOUR), jitter=30 * MINUTE, late_after=SECOND),))
    world.until(at("13:00:02"))
    assert world.starts == []
    assert health(slot(world), world.now) == (Health.LATE, "due 2026-11-24T13:00:00Z, not started")


def test_no_good_run_for_too_long_is_late_counted_from_first_sight_and_from_the_last_good_one() -> None:
    world = World((periodic(expect_success_within=12 * MINUTE),))
    world.until(at("12:12"), lasting=SECOND)
    assert health(slot(world), world.now) == (Health.OK, None)
    world.until(at("12:22:01"))
    assert health(slot(world), world.now) == (Health.OK, None)
    world.until(at("12:22:02"))
    assert health(slot(world), world.now) == (Health.LATE, "no good run for 12m1s")
    never = World((periodic(schedule=Every(interval=HOUR), expect_success_within=12 * MINUTE),))
    never.until(at("12:12:01"))
    assert health(slot(never), never.now) == (Health.LATE, "no good run for 12m1s")


def test_the_last_good_run_is_remembered_over_a_restart() -> None:
    first = World((periodic(schedule=Every(interval=HOUR), expect_success_within=2 * HOUR),))
    first.until(at("13:30"), lasting=SECOND)
    second = first.killed(until=at("14:30"))
    second.until(at("15:00:01"))
    assert health(slot(second), second.now) == (Health.OK, None)
    second.until(at("15:00:02"))
    assert health(slot(second), second.now)[0] is Health.LATE


def test_what_people_hold_or_pause_is_never_late() -> None:
    for order in (PauseRequested(), StopRequested()):
        world = World((periodic(expect_success_within=12 * MINUTE, late_after=MINUTE),))
        world.tell("poll", order)
        world.until(at("12:30"))
        assert health(slot(world), world.now)[0] in {Health.OK, Health.STOPPED}


# -- paused by failures ------------------------------------------------------------------------------------------------


def test_so_many_failures_in_a_row_pause_the_job_until_it_is_resumed() -> None:
    world = World((periodic(pause_after_failures=2),))
    world.until(at("12:16"), lasting=SECOND, ended=Code(1))
    assert [outcome for _, outcome in world.finals("poll")] == ["failed", "failed", "missed"]
    assert state_word(slot(world)) == "paused"
    assert health(slot(world), world.now) == (Health.FAILING, "paused after 2 failures in a row: exit 1")
    again = world.killed(until=at("12:17"))
    again.until(at("12:21"), lasting=SECOND)
    assert again.starts == []
    again.tell("poll", ResumeRequested())
    again.until(at("12:31"), lasting=SECOND, ended=Code(1))
    assert len(again.starts) == 2, "it is counted anew"


def test_a_good_run_in_between_begins_the_count_again_and_retries_count_once() -> None:
    world = World((retrying(MINUTE, retries=1, pause_after_failures=2),))
    for until, code in (("12:09", 1), ("12:14", 0), ("12:19", 1)):
        world.until(at(until), lasting=SECOND, ended=Code(code))
    assert [outcome for _, outcome in world.finals("poll")] == ["failed", "ok", "failed"]
    assert not slot(world).paused


# -- max_running -------------------------------------------------------------------------------------------------------


def test_those_that_wait_for_max_running_start_in_due_order_and_are_shown_as_blocked() -> None:
    early, late = (
        periodic(name, Every(interval=HOUR, offset=minutes * MINUTE)) for name, minutes in (("b", 1), ("a", 2))
    )
    world = World((periodic("first", Every(interval=HOUR)), late, early), max_running=1)
    world.until(at("13:05"))
    assert [state_word(slot(world, name)) for name in ("first", "a", "b")] == ["running", "blocked", "blocked"]
    world.end_of("first")
    world.until(at("13:21"), lasting=10 * MINUTE)
    assert [name for name, _, _ in world.starts] == ["first", "b", "a"]


def test_a_reload_that_leaves_more_room_starts_those_that_wait_at_once() -> None:
    jobs = (periodic("first"), periodic())
    world = World(jobs, max_running=1)
    world.until(at("12:06"))
    world.board.rules = replace(world.board.rules, max_running=2)
    world.perform(world.board.apply(jobs, world.now))
    assert [name for name, _, _ in world.starts] == ["first", "poll"]


def test_waiting_past_missed_within_is_missed() -> None:
    world = World((periodic("first"), periodic(missed_within=3 * MINUTE)), max_running=1)
    world.until(at("12:07:59"))
    assert isinstance(world.state("poll"), Blocked)
    world.until(at("12:08"))
    assert world.finals("poll") == [(at("12:05"), "missed")]
    assert [row.reason for row in world.rows if isinstance(row, NotRun)] == ["max_running left it no room for 3m"]


@pytest.mark.parametrize(
    ("timing", "schedule", "waits"),
    [
        ({}, Every(interval=30 * MINUTE), 30 * MINUTE),
        ({}, Every(interval=2 * HOUR), None),
        ({"missed": Missed.ALL}, Every(interval=30 * MINUTE), None),
    ],
)
def test_how_long_it_may_wait_without_missed_within_is_as_for_missed_ones(
    timing: dict[str, object], schedule: Every, waits: timedelta | None
) -> None:
    first = periodic("first", replace(schedule, offset=timedelta(0)))
    world = World((first, periodic(schedule=schedule, **timing)), max_running=1)
    world.until(START.wall + schedule.interval)
    state = world.state("poll")
    assert isinstance(state, Blocked)
    assert state.until == (None if waits is None else world.now.mono + waits)


# -- what status says of it --------------------------------------------------------------------------------------------


def test_last_is_the_last_ended_run_also_after_skips_and_misses() -> None:
    world = World((periodic(),))
    world.until(at("12:06"), lasting=SECOND)
    world.until(at("12:16"))
    last = of_status(world)["last"]
    assert isinstance(last, dict)
    assert (last["due_at"], last["outcome"]) == ("2026-11-24T12:05:00Z", "ok")
    world.tell("poll", PauseRequested())
    world.until(at("12:26"))
    assert of_status(world)["last"] == last


def test_next_is_when_something_starts() -> None:
    world = World((retrying(2 * MINUTE, retries=3),))

    def coming() -> object:
        return of_status(world)["next_due_at"]

    assert coming() == "2026-11-24T12:05:00Z", "waiting"
    world.until(at("12:05"))
    assert coming() == "2026-11-24T12:10:00Z", "running"
    world.end_of("poll", Code(1))
    assert coming() == "2026-11-24T12:07:00Z", "a retry"
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    assert coming() == "2026-11-24T12:09:01Z", "a retry"
    world.until(at("12:09:01"))
    world.end_of("poll", Code(1))
    assert coming() == "2026-11-24T12:10:00Z", "the next due time drops the retry"
    world.tell("poll", PauseRequested())
    assert coming() == "2026-11-24T12:11:01Z", "of a paused job only the retry is left"
    world.until(at("12:12"))
    assert coming() is None, "paused"
    world.tell("poll", StopRequested())
    world.tell("poll", ResumeRequested())
    assert coming() is None, "held"


def test_next_of_a_job_that_has_something_to_make_up_is_when_that_starts() -> None:
    first = World((periodic(schedule=Every(interval=HOUR), jitter=30 * MINUTE),))
    second = first.killed(until=at("13:10"))
    shown = of_status(second)["next_due_at"]
    second.until(at("13:59"), lasting=SECOND)
    assert shown == second.starts[0][2].isoformat().replace("+00:00", "Z")


def test_a_disabled_job_has_no_next() -> None:
    world = World((replace(periodic(), enabled=False),))
    row = of_status(world)
    assert (row["state"], row["health"], row["next_due_at"], row["last"]) == ("disabled", "ok", None, None)
