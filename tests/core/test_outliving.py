"""What outlives the supervisor: give-up, windows and streaks, and the number of instances that somebody asked for."""

from datetime import timedelta

import pytest
from manifests import parsed
from world import MINUTE, SECOND, START, World, later, replace

from supervisor.core.events import Exited, StartRequested, StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Job, Limit
from supervisor.core.runs import SlotId
from supervisor.core.states import Backoff, Barred, Failed, Running, Stopped
from supervisor.core.status import state_word
from supervisor.core.tree.reasons import why
from supervisor.core.tree.report import report_groups

LIMITED = '[jobs.a]\ncommand = "a"\nbackoff = "none"\nmax_restarts = 1\n'
ENDLESS = '[jobs.a]\ncommand = "a"\nbackoff = { initial = "1s", factor = 2, max = "1m", jitter = 0 }\n'
FENCED = """
[groups.g]
backoff = "none"
max_restarts = 1
[jobs.a]
command = "a"
group = "g"
[jobs.b]
command = "b"
group = "g"
"""
SOON = timedelta(milliseconds=10)


def world(text: str, *, root: int = 0) -> World:
    made = parsed(text)
    return World(made.jobs, groups=made.groups, root=Limit(max_restarts=root, within=MINUTE), obedient=True)


def fails(world: World, name: str, times: int = 1) -> None:
    """Let a process fail so often, each as soon as it is there again."""
    for _ in range(times):
        world.end_of(name, Code(1))
        world.until(world.now.wall + SOON)


def next_one(world: World, after: timedelta = SECOND) -> World:
    """Return the world of the next supervisor, when this one was killed."""
    return world.killed(until=world.now.wall + after)


def group(world: World) -> dict[str, object]:
    [row] = report_groups(world.board.tree, world.now)
    return row


def words(world: World) -> dict[str, str]:
    return {slot.label: state_word(slot) for slot in world.board.slots.values()}


def tell_group(world: World, event: StartRequested) -> None:
    world.perform(world.board.tell((), event, world.now, ("g",)))


# -- a job that gave up ------------------------------------------------------------------------------------------------


def test_a_job_that_gave_up_stays_so_until_a_start_by_hand() -> None:
    first = world(LIMITED)
    fails(first, "a", times=2)
    second = next_one(first, after=timedelta(days=3))
    third = next_one(second)
    assert isinstance(third.state("a"), Failed)
    assert third.state("a").reason == "gave up after 1 restarts in 1m: exit 1"  # type: ignore[attr-defined]
    assert not third.alive
    third.tell("a", StartRequested())
    assert isinstance(third.state("a"), Running)
    assert isinstance(next_one(third).state("a"), Running)


def test_a_job_that_gave_up_stays_so_over_an_orderly_end() -> None:
    first = world(LIMITED + FENCED.replace("jobs.a", "jobs.c"))
    fails(first, "a", times=2)
    fails(first, "b", times=2)
    first.perform(first.board.shut_down(0, first.now))
    assert first.board.is_at_rest
    assert words(next_one(first)) == {"a": "failed", "c": "blocked", "b": "failed"}


def test_a_job_that_gave_up_and_was_then_stopped_is_held() -> None:
    first = world(LIMITED)
    fails(first, "a", times=2)
    first.tell("a", StopRequested())
    assert isinstance(next_one(first).state("a"), Stopped)


def test_a_job_that_failed_and_is_never_restarted_is_tried_by_the_next_supervisor() -> None:
    first = world('[jobs.a]\ncommand = "a"\nrestart = "never"\n')
    fails(first, "a")
    assert isinstance(first.state("a"), Failed)
    assert isinstance(next_one(first).state("a"), Running)


def test_a_job_that_gave_up_and_is_disabled_meanwhile_is_disabled() -> None:
    first = world(LIMITED)
    fails(first, "a", times=2)
    [job] = first.jobs
    assert words(first.killed(until=first.now.wall, jobs=(replace(job, enabled=False),))) == {"a": "disabled"}


# -- windows and streaks -----------------------------------------------------------------------------------------------


def test_restarts_before_the_supervisor_was_killed_count_while_they_are_in_the_window() -> None:
    first = world(LIMITED)
    fails(first, "a")
    soon = next_one(first, after=timedelta(seconds=30))
    assert isinstance(soon.state("a"), Running)  # its first start is free
    fails(soon, "a")
    assert isinstance(soon.state("a"), Failed)


def test_restarts_before_the_supervisor_was_killed_grow_old_by_the_wall_clock() -> None:
    first = world(LIMITED)
    fails(first, "a")
    late = next_one(first, after=timedelta(seconds=61))
    fails(late, "a")
    assert isinstance(late.state("a"), Running)


def test_a_restart_that_the_wall_clock_places_in_the_future_has_just_been() -> None:
    first = world(LIMITED)
    fails(first, "a")
    back = first.killed(until=first.now.wall - timedelta(days=1))
    fails(back, "a")
    assert isinstance(back.state("a"), Failed)
    assert START.ago(later(MINUTE).wall).mono == START.mono


def test_a_streak_goes_on_and_the_first_start_is_immediate() -> None:
    first = world(ENDLESS)
    for seconds in (1, 2, 4):
        first.end_of("a", Code(1))
        assert _waits(first) == seconds
        first.until(first.now.wall + timedelta(seconds=seconds))
    second = next_one(first)
    assert isinstance(second.state("a"), Running)
    second.end_of("a", Code(1))
    assert _waits(second) == 8


def test_a_backoff_that_the_supervisor_did_not_outlive_ends_with_it() -> None:
    first = world(ENDLESS)
    first.end_of("a", Code(1))
    assert isinstance(first.state("a"), Backoff)
    assert isinstance(next_one(first, after=SOON).state("a"), Running)


def test_a_streak_ends_once_the_job_has_run_well_and_the_next_supervisor_knows() -> None:
    first = world(ENDLESS)
    for _ in range(5):
        first.end_of("a", Code(1))
        first.until(first.now.wall + MINUTE)
    assert first.board.slots[SlotId("a")].streak == 5  # it has run for less than a minute
    first.until(first.now.wall + MINUTE)
    assert first.board.slots[SlotId("a")].streak == 0
    second = next_one(first)
    second.end_of("a", Code(1))
    assert _waits(second) == 1


def _waits(world: World) -> float:
    state = world.state("a")
    assert isinstance(state, Backoff)
    return (state.until - world.now.mono).total_seconds()


# -- groups ------------------------------------------------------------------------------------------------------------


def test_a_fenced_group_stays_so_until_a_start_by_hand() -> None:
    first = world(FENCED)
    fails(first, "b", times=2)
    assert words(first) == {"a": "blocked", "b": "failed"}
    second = next_one(first, after=timedelta(days=3))
    assert (group(second)["state"], group(second)["health"]) == ("failed", "failing")
    assert words(second) == {"a": "blocked", "b": "failed"}
    assert why(second.board.tree, second.board.slots[SlotId("a")]) == "group g gave up"
    tell_group(second, StartRequested())
    assert words(second) == {"a": "running", "b": "running"}
    assert words(next_one(second)) == {"a": "running", "b": "running"}


def test_a_start_of_one_member_starts_a_group_that_an_earlier_supervisor_fenced() -> None:
    first = world(FENCED)
    fails(first, "b", times=2)
    second = next_one(first)
    second.tell("a", StartRequested())
    assert words(second) == {"a": "running", "b": "running"}


def test_the_restarts_and_the_window_of_a_group_outlive_the_supervisor() -> None:
    first = world(FENCED)
    fails(first, "b")
    second = next_one(first)
    assert group(second)["restarts"] == 1
    fails(second, "a")
    assert group(second)["state"] == "failed"


def test_a_group_that_was_removed_is_forgotten() -> None:
    first = world(FENCED)
    fails(first, "b", times=2)
    alone = tuple(replace(job, group=None) for job in first.jobs)
    first.perform(first.board.apply(alone, first.now, ()))
    made = parsed(FENCED)
    first.perform(first.board.apply(made.jobs, first.now, made.groups))
    assert group(first)["state"] != "failed"
    assert group(first)["restarts"] == 0


def test_the_next_supervisor_counts_anew_when_this_one_ended_as_an_essential_job_gave_up() -> None:
    first = world(LIMITED + 'on_give_up = "escalate"\n[jobs.o]\ncommand = "o"\nbackoff = "none"\n')
    fails(first, "o", times=3)
    fails(first, "a", times=2)
    assert first.board.ending is not None
    assert first.board.ending.code == 1
    second = next_one(first)
    assert words(second) == {"a": "running", "o": "running"}
    assert {slot.streak for slot in second.board.slots.values()} == {0}
    fails(second, "a")
    assert words(second) == {"a": "running", "o": "running"}


def test_the_next_supervisor_counts_anew_when_this_one_ended_as_an_essential_group_gave_up() -> None:
    first = world(FENCED.replace("[groups.g]", '[groups.g]\non_give_up = "escalate"'))
    fails(first, "b", times=2)
    assert first.board.ending is not None
    second = next_one(first)
    assert words(second) == {"a": "running", "b": "running"}
    fails(second, "a")
    assert words(second) == {"a": "running", "b": "running"}


def test_what_is_fenced_stays_so_when_another_ends_the_supervisor() -> None:
    first = world(FENCED + '[jobs.e]\ncommand = "e"\nbackoff = "none"\nmax_restarts = 0\non_give_up = "escalate"\n')
    fails(first, "b", times=2)
    fails(first, "e")
    assert first.board.ending is not None
    assert words(next_one(first)) == {"a": "blocked", "b": "failed", "e": "running"}


def test_a_member_whose_group_was_taken_away_while_no_supervisor_ran_stays_failed() -> None:
    first = world(FENCED)
    fails(first, "b", times=2)
    alone = tuple(replace(job, group=None) for job in first.jobs)
    first.groups = ()
    second = first.killed(until=first.now.wall + SECOND, jobs=alone)
    assert words(second) == {"a": "running", "b": "failed"}


def test_a_blocked_member_of_a_fenced_group_is_no_due_time_of_its_own() -> None:
    first = world(FENCED)
    fails(first, "b", times=2)
    assert isinstance(next_one(first).state("a"), Barred)


# -- the number of instances -------------------------------------------------------------------------------------------

TWO = '[jobs.a]\ncommand = "a"\ninstances = 2\n[jobs.b]\ncommand = "b"\n'


def _scaled() -> World:
    first = world(TWO)
    first.perform(first.board.scale("a", 4, first.now))
    return first


def _reloaded(world: World, text: str) -> World:
    made = parsed(text)
    world.perform(world.board.apply(made.jobs, world.now, made.groups))
    return world


def _count(world: World) -> int:
    return len(world.board.slots_of("a"))


def test_a_live_number_outlives_the_supervisor() -> None:
    assert _count(next_one(next_one(_scaled()))) == 4


def test_a_live_number_below_the_manifests_outlives_the_supervisor() -> None:
    first = world(TWO)
    first.perform(first.board.scale("a", 1, first.now))
    assert words(next_one(first)) == {"a": "running", "b": "running"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (TWO, 4),
        (TWO.replace('"b"', '"c"'), 4),
        (TWO.replace('"a"', '"x"'), 4),
        (TWO.replace("2", "3"), 3),
        (TWO.replace("instances = 2\n", ""), 1),
    ],
    ids=["nothing", "another job", "another key of it", "its number", "its number, away"],
)
def test_a_live_number_holds_until_the_manifests_own_is_edited(text: str, left: int) -> None:
    first = _reloaded(_scaled(), text)
    assert _count(first) == left
    assert _count(_killed_with(first, text)) == left
    assert _count(_killed_with(_scaled(), text)) == left


def _killed_with(world: World, text: str) -> World:
    jobs: tuple[Job, ...] = parsed(text).jobs
    return world.killed(until=world.now.wall + SECOND, jobs=jobs)


def test_a_live_number_that_was_ended_by_an_edit_does_not_come_back_with_the_old_number() -> None:
    first = _reloaded(_reloaded(_scaled(), TWO.replace("2", "3")), TWO)
    assert _count(first) == 2
    assert _count(next_one(first)) == 2


def test_what_is_planned_is_what_a_reload_does_to_a_scaled_job() -> None:
    first = _scaled()
    [a, _] = first.board.edits(parsed(TWO.replace('"b"', '"c"')).jobs)
    assert a.effect.value == "none"
    assert [job.effect.value for job in first.board.edits(parsed(TWO.replace("2", "3")).jobs)] != ["none", "none"]


def test_the_manifests_number_by_hand_is_no_live_number() -> None:
    first = _scaled()
    first.perform(first.board.scale("a", 2, first.now))
    assert _count(_killed_with(first, TWO.replace("2", "3"))) == 3
    assert _count(next_one(first)) == 2


def test_ends_of_another_supervisors_runs_are_nobodys() -> None:
    first = world(LIMITED)
    [old] = first.alive
    second = next_one(first)
    second.perform(second.board.handle(Exited(run_id=old, ended=Code(1)), second.now))
    assert isinstance(second.state("a"), Running)
