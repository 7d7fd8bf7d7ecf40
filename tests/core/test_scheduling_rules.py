"""Sentences of the scheduling contract that no row of its table of examples shows."""

from datetime import timedelta

from world import MINUTE, SECOND, START, World, at, periodic

from supervisor.core.exits import Code
from supervisor.core.job import Backoff, Job, Missed, Overlap, Supervision
from supervisor.core.runs import SlotId
from supervisor.core.schedule import Delay, Every, Reboot
from supervisor.values import replace

HOUR = timedelta(hours=1)


def retrying(wait: timedelta, **timing: object) -> Job:
    rules = Supervision(backoff=Backoff(initial=wait, factor=1, max=wait, jitter=0))
    return replace(periodic(**timing), supervision=rules)


def test_a_retry_still_waiting_when_the_next_due_time_comes_is_dropped() -> None:
    world = World((retrying(8 * MINUTE, retries=3),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    world.until(at("12:11"), lasting=SECOND)
    assert [(due, start) for _, due, start in world.starts] == [(at("12:05"), at("12:05")), (at("12:10"), at("12:10"))]


def test_the_deadline_is_of_all_attempts_of_a_due_time() -> None:
    world = World((retrying(MINUTE, retries=9, deadline=150 * SECOND),))
    world.until(at("12:09"), lasting=SECOND, ended=Code(1))
    assert [start for _, _, start in world.starts] == [at("12:05"), at("12:06:01"), at("12:07:02")]
    assert world.finals("poll") == [(at("12:05"), "failed")]


def test_so_many_failures_pause_the_job() -> None:
    world = World((periodic(pause_after_failures=2),))
    world.until(at("12:21"), lasting=SECOND, ended=Code(1))
    assert [outcome for _, outcome in world.finals("poll")] == ["failed", "failed", "missed", "missed"]


def test_of_all_missed_due_times_the_newest_are_made_up() -> None:
    first = World((periodic(missed=Missed.ALL, missed_limit=2),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:31"))
    second.until(at("12:32"), lasting=SECOND)
    assert [due for _, due, _ in second.starts] == [at("12:25"), at("12:30")]


def test_a_missed_due_time_older_than_one_short_interval_is_not_made_up() -> None:
    first = World((periodic(schedule=Every(interval=10 * MINUTE), missed_within=MINUTE),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:15"))
    second.until(at("12:16"), lasting=SECOND)
    assert second.starts == []
    assert second.finals("poll") == [(at("12:10"), "missed")]


def test_those_that_wait_for_max_running_start_in_due_order() -> None:
    early, late = (
        periodic(name, Every(interval=HOUR, offset=minutes * MINUTE)) for name, minutes in (("b", 1), ("a", 2))
    )
    world = World((periodic("first", Every(interval=HOUR)), late, early), max_running=1)
    world.until(at("13:21"), lasting=10 * MINUTE)
    assert [name for name, _, _ in world.starts] == ["first", "b", "a"]


def test_jitter_never_reaches_the_next_due_time_and_is_the_same_after_a_restart() -> None:
    job = periodic(jitter=HOUR)
    world = World((job,))
    world.until(at("12:03"))
    planned = world.board.slots[SlotId("poll")].table
    again = world.killed(until=at("12:04")).board.slots[SlotId("poll")].table
    assert planned is not None
    assert again is not None
    assert planned.next is not None
    assert again.next is not None
    late = planned.next.at - planned.next.exact
    assert timedelta(0) <= late <= 5 * MINUTE
    assert again.next.at - again.next.exact == late


def test_a_triggered_run_counts_as_a_run_of_a_delay() -> None:
    world = World((periodic(schedule=Delay(delay=5 * MINUTE)),))
    world.until(at("12:02"))
    world.perform(world.board.trigger(SlotId("poll"), world.now))
    world.until(at("12:19"), lasting=MINUTE)
    assert [start for _, _, start in world.starts] == [at("12:02"), at("12:08"), at("12:14")]


def test_reboot_is_once_per_boot() -> None:
    world = World((periodic(schedule=Reboot()),))
    world.until(at("12:01"), lasting=SECOND)
    same_boot = world.killed(until=at("12:05"))
    same_boot.until(at("12:06"), lasting=SECOND)
    assert (len(world.starts), len(same_boot.starts)) == (1, 0)


def test_a_job_seen_for_the_first_time_has_missed_nothing() -> None:
    world = World((periodic(schedule=Every(interval=HOUR, align_clock=True)),), now=replace(START, wall=at("12:59")))
    world.until(at("13:01"), lasting=SECOND)
    assert world.finals("poll") == [(at("13:00"), "ok")]


def test_a_catch_up_run_obeys_overlap() -> None:
    first = World((periodic(overlap=Overlap.SKIP),))
    first.until(at("12:01"))
    second = first.killed(until=at("12:14"))
    second.until(at("12:16"), lasting=10 * MINUTE)
    assert second.finals("poll")[-1] == (at("12:15"), "skipped")
