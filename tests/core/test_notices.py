from collections.abc import Callable
from datetime import timedelta

import pytest
from world import MINUTE, SECOND, World, at, long_lived, periodic, worker

from supervisor.core.effects import Effects
from supervisor.core.events import PauseRequested, StartRequested, StopRequested
from supervisor.core.exits import Code
from supervisor.core.job import Job, Limit, Overlap
from supervisor.core.notices import Notice, Notices, is_for
from supervisor.core.notifier import Notifier, On, Program, Webhook
from supervisor.core.runs import Attempt
from supervisor.values import replace

TOLD = {"notify": ("ops",)}


class Told(World):
    """A world in which somebody takes notice."""

    notices: Notices
    found: list[Notice]

    def perform(self, effects: Effects) -> None:
        if not hasattr(self, "notices"):
            self.notices, self.found = Notices(), []
        for change in effects.changes:
            self.found += self.notices.notice(change)
        super().perform(effects)

    def pass_time(self, by: timedelta) -> None:
        """Let time pass, the notices' own deadlines included."""
        until = self.now.wall + by
        while (mono := self.notices.deadline) is not None and self.now.wall + (mono - self.now.mono) <= until:
            self.until(self.now.wall + max(timedelta(0), mono - self.now.mono))
            self.found += self.notices.advance(self.board.slots, self.now)
        self.until(until)

    def events(self, *, pings: bool = False, **notifier: object) -> list[str]:
        to = Webhook(url="https://a/", ping=True) if pings else Program(argv=("x",))
        wants = Notifier(name="ops", to=to, **notifier)  # type: ignore[arg-type]
        return [each.event.value for each in self.found if is_for(each, wants)]


def told(job: Job) -> Told:
    return Told((replace(job, notify=("ops",)),))


def failing(times: int) -> Callable[[World], None]:
    def fail(world: World) -> None:
        for _ in range(times):
            world.until(world.now.wall + 5 * MINUTE)
            world.end_of("poll", Code(1))

    return fail


@pytest.mark.parametrize(
    ("failures", "told_of"),
    [(1, ["failure", "recovery"]), (3, ["failure", "recovery"]), (4, [])],
)
def test_so_many_failures_in_a_row_are_told_once_and_their_recovery(failures: int, told_of: list[str]) -> None:
    world = told(periodic())
    failing(3)(world)
    world.until(world.now.wall + 5 * MINUTE)
    world.end_of("poll")
    assert world.events(failures=failures) == told_of


def test_an_attempt_that_is_tried_again_is_no_failure_yet() -> None:
    world = told(periodic(retries=1))
    world.until(at("12:05"))
    world.end_of("poll", Code(1))
    assert world.events() == []
    world.until(at("12:06"))
    world.end_of("poll", Code(1))
    assert world.events() == ["failure"]
    assert world.found[-1].told()["attempt"] == 2


def test_a_long_lived_job_has_recovered_when_it_has_run_well_for_a_while() -> None:
    world = told(long_lived())
    for _ in range(3):
        world.end_of("web", Code(1))
        world.pass_time(30 * SECOND)
    assert world.events() == ["failure"]
    assert world.events(failures=3) == ["failure"]
    world.pass_time(61 * SECOND)
    assert world.events() == ["failure", "recovery"]
    world.end_of("web", Code(1))
    assert world.events() == ["failure", "recovery", "failure"]


def test_giving_up_is_told() -> None:
    world = told(long_lived(limit=Limit(max_restarts=0, within=MINUTE)))
    world.end_of("web", Code(3))
    assert world.events() == ["failure", "give_up"]
    assert world.found[-1].text == "web failed for good: gave up after 0 restarts in 1m: exit 3"
    world.tell("web", StartRequested())
    world.pass_time(2 * MINUTE)
    assert world.events() == ["failure", "give_up", "recovery"]


def test_a_job_that_pauses_itself_has_given_up() -> None:
    world = told(periodic(pause_after_failures=2))
    for _ in range(2):
        world.pass_time(5 * MINUTE)
        world.end_of("poll", Code(1))
    world.pass_time(20 * MINUTE)
    assert world.events() == ["failure", "give_up"]
    assert world.found[-1].text == "poll is paused after 2 failures in a row: exit 1"


def test_nobody_is_told_that_a_job_is_late_which_somebody_holds_or_has_paused() -> None:
    for order in (StopRequested(), PauseRequested()):
        world = told(periodic(late_after=MINUTE, expect_success_within=12 * MINUTE))
        world.tell("poll", order)
        world.pass_time(60 * MINUTE)
        assert world.events() == []


def test_a_run_that_is_late_is_told_once_and_its_good_end_is_a_recovery() -> None:
    world = told(periodic(late_after=MINUTE))
    world.pass_time(5 * MINUTE + 59 * SECOND)
    assert world.events() == []
    world.pass_time(2 * SECOND)
    assert world.events() == ["late"]
    world.pass_time(2 * MINUTE)
    world.end_of("poll")
    assert world.events() == ["late", "recovery"]
    assert world.events(on=frozenset({On.FAILURE, On.RECOVERY})) == []


def test_no_good_run_for_too_long_is_late() -> None:
    world = told(periodic(expect_success_within=12 * MINUTE))
    for _ in range(2):
        world.pass_time(5 * MINUTE)
        world.end_of("poll", Code(1))
    assert world.events() == ["failure"]
    world.pass_time(3 * MINUTE)
    assert world.events() == ["failure", "late"]


def test_a_notifier_is_told_only_what_it_wants() -> None:
    world = told(periodic())
    failing(1)(world)
    world.until(world.now.wall + 5 * MINUTE)
    world.end_of("poll")
    assert world.events(on=frozenset({On.FAILURE})) == ["failure"]
    assert world.events(on=frozenset({On.RECOVERY})) == ["recovery"]
    assert world.events(on=frozenset({On.GIVE_UP})) == []


def test_a_ping_tells_of_each_run_and_of_nothing_else() -> None:
    world = told(periodic(late_after=MINUTE))
    world.until(at("12:05"))
    world.end_of("poll")
    failing(1)(world)
    assert world.events(pings=True) == ["start", "success", "start", "fail"]
    assert [each.run.run_id for each in world.found if each.run] == [1, 1, 2, 2, 2]


def test_a_ping_tells_of_each_tick_of_a_worker_and_of_runs_side_by_side() -> None:
    world = Told((replace(worker(), notify=("ops",)),), workers=frozenset({"clock"}))
    world.until(at("12:05"))
    world.end_tick(next(iter(world.ticking)))
    assert world.events(pings=True) == ["start", "success"]
    lanes = told(periodic(overlap=Overlap.ALLOW))
    lanes.until(at("12:10"))
    lanes.end_of("poll")
    lanes.end_of("poll", Code(1))
    assert lanes.events(pings=True) == ["start", "start", "success", "fail"]


def test_a_stop_by_hand_is_no_failure() -> None:
    world = Told((replace(long_lived(), notify=("ops",)),), obedient=True)
    world.board.shut_down(0, world.now)
    assert world.events() == []


def test_a_job_that_nobody_wants_to_hear_of_is_not_told_of() -> None:
    world = Told((periodic(late_after=MINUTE),))
    failing(1)(world)
    assert world.found == []
    assert world.notices.deadline is None


def test_a_notice_is_json_without_surprises() -> None:
    world = told(periodic())
    failing(1)(world)
    notice = world.found[-1].told()
    assert notice == {
        "event": "failure",
        "job": "poll",
        "instance": 1,
        "at": "2026-11-24T12:05:00Z",
        "text": "poll failed: exit 1",
        "failures": 1,
        "run_id": 1,
        "due_at": "2026-11-24T12:05:00Z",
        "attempt": 1,
        "started_at": "2026-11-24T12:05:00Z",
        "ended_at": "2026-11-24T12:05:00Z",
        "duration_s": 0.0,
        "outcome": "failed",
        "exit_code": 1,
        "signal": None,
        "reason": None,
        "error": None,
    }
    assert isinstance(world.found[-1].run, Attempt)


def test_a_give_up_is_told_once_and_not_again_by_the_next_supervisor() -> None:
    first = told(long_lived("web", backoff=None, limit=Limit(max_restarts=0, within=MINUTE)))
    first.end_of("web", Code(1))
    assert "give_up" in first.events()
    second = Told(first.jobs, saved=first.saved)
    assert second.events() == []
