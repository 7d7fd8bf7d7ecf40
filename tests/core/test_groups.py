"""Groups: what the end of one member means to the others, and in which order they start and stop."""

from datetime import timedelta

import pytest
from world import SECOND, World, later, long_lived, periodic, replace

from supervisor.core.actions import Stop
from supervisor.core.events import Event, RestartRequested, StartRequested, StopRequested
from supervisor.core.exits import Code, Exit
from supervisor.core.job import Backoff as BackoffRule
from supervisor.core.job import Job, Limit, OnGiveUp, Restart
from supervisor.core.runs import SlotId
from supervisor.core.states import Stopping
from supervisor.core.tree.group import Group, Strategy
from supervisor.core.tree.reasons import hindrance, why
from supervisor.core.tree.report import report_groups

BAD = Code(1)
ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE
SLOW = BackoffRule(initial=SECOND, jitter=0)


def times(most: int) -> Limit:
    return Limit(max_restarts=most, within=timedelta(seconds=60))


def member(name: str, group: str | None = "g", after: tuple[str, ...] = (), **supervision: object) -> Job:
    rules = {"backoff": None, "limit": times(5), **supervision}
    return replace(long_lived(name, **rules), group=group, after=after)


def group(name: str = "g", strategy: Strategy = ONE, **keys: object) -> Group:
    values = {"name": name, "strategy": strategy, "limit": times(5), "backoff": None, **keys}
    return Group(**values)  # type: ignore[arg-type]


class Tree(World):
    """A world of groups, whose news are starts and stops; processes end as soon as they are asked to."""

    def __init__(self, *jobs: Job, groups: tuple[Group, ...], root: int = 0, obedient: bool = True) -> None:
        super().__init__(jobs, groups=groups, root=times(root), obedient=obedient)
        self.until(self.now.wall)

    def news(self) -> str:
        """Return what was told since it was asked last, after all that is due now."""
        self.until(self.now.wall)
        told, self.told = self.told, []
        return " ".join(told)

    def falls(self, *names: str, how: Exit = BAD) -> str:
        """Let processes end in one turn of the loop; return what follows."""
        self.news()
        for name in names:
            self.end_of(name, how)
        return self.news()

    def order(self, event: Event, *names: str) -> str:
        self.news()
        slots = [slot.id for name in names for slot in self.board.slots_of(name)]
        groups = [name for name in names if name in self.board.tree.branches]
        self.perform(self.board.tell(slots, event, self.now, groups))
        return self.news()

    def word(self, name: str) -> str:
        return type(self.state(name)).__name__.lower()

    def group(self, name: str = "g") -> str:
        rows = report_groups(self.board.tree, self.now)
        return str(next(row["state"] for row in rows if row["name"] == name))


def abc(strategy: Strategy, *, most: int = 5, **middle: object) -> Tree:
    jobs = member("a"), member("b", **middle), member("c")
    return Tree(*jobs, groups=(group(strategy=strategy, limit=times(most)),))


@pytest.mark.parametrize(("strategy", "follows"), [(ONE, "+b"), (ALL, "-c -a +a +b +c"), (REST, "-c +b +c")], ids=str)
def test_the_strategies(strategy: Strategy, follows: str) -> None:
    tree = abc(strategy)
    assert tree.news() == "+a +b +c"
    assert tree.falls("b") == follows
    assert tree.group() == "running"


@pytest.mark.parametrize(("strategy", "charged"), [(ONE, 2), (ALL, 1), (REST, 1)], ids=str)
def test_two_ends_of_one_turn(strategy: Strategy, charged: int) -> None:
    tree = abc(strategy)
    tree.falls("c", "b")
    assert tree.board.tree.branches["g"].restarts == charged
    assert {tree.word(name) for name in "abc"} == {"running"}


def test_the_limit_is_shared_and_the_others_stop_in_reverse_order() -> None:
    tree = abc(ONE, most=2)
    tree.falls("a")
    tree.falls("c")
    assert tree.falls("b") == "-c -a"
    assert [tree.word(name) for name in "abc"] == ["barred", "failed", "barred"]
    assert tree.group() == "failed"
    assert tree.board.ending is None
    slot = tree.board.slots[SlotId("a")]
    assert why(tree.board.tree, slot) == "group g gave up"


def test_starting_one_member_of_a_fenced_group_starts_it_as_a_whole() -> None:
    tree = abc(ONE, most=0)
    tree.falls("b")
    assert tree.order(StartRequested(), "c") == "+a +b +c"
    assert tree.board.tree.branches["g"].window == ()


def test_a_member_held_by_hand_stays_down_in_a_round() -> None:
    tree = abc(ALL)
    assert tree.order(StopRequested(), "b") == "-b"
    assert tree.falls("c") == "-a +a +c"
    assert tree.word("b") == "stopped"


def test_those_after_a_held_member_wait_under_rest_for_one() -> None:
    tree = abc(REST)
    tree.order(StopRequested(), "b")
    assert tree.word("c") == "running"
    assert tree.falls("c") == ""
    assert tree.word("c") == "barred"
    assert hindrance(tree.board.tree, tree.board.slots[SlotId("c")]) == "waits for b, which is stopped by hand"
    assert tree.order(StartRequested(), "b") == "+b +c"


def test_temporary_members_are_not_started_again_by_a_round_and_finished_transient_ones_are() -> None:
    never, transient = member("n", restart=Restart.NEVER), member("t", restart=Restart.ON_FAILURE)
    tree = Tree(member("a"), never, transient, groups=(group(strategy=ALL),))
    assert tree.falls("t", how=Code(0)) == ""
    assert tree.falls("a") == "-n +a +t"
    assert tree.word("n") == "finished"


def test_a_round_waits_for_the_back_off_of_the_one_that_fell() -> None:
    tree = Tree(member("a"), member("b", backoff=SLOW), member("c"), groups=(group(strategy=ALL),))
    assert tree.falls("b") == "-c -a"
    assert [tree.word(name) for name in "abc"] == ["barred", "backoff", "barred"]
    assert tree.group() == "backoff"
    tree.until(tree.now.wall + SECOND)
    assert tree.news() == "+a +b +c"


def test_each_stops_only_when_the_one_after_it_is_gone() -> None:
    jobs = member("a"), member("b"), member("c")
    tree = Tree(*jobs, groups=(group(strategy=ALL),), obedient=False)
    assert tree.falls("b") == "-c"
    assert tree.falls("c", how=Code(0)) == "-a"
    assert tree.falls("a", how=Code(0)) == "+a +b +c"


def test_a_second_end_falls_into_the_stop_phase_and_is_not_charged() -> None:
    tree = Tree(member("a"), member("b"), member("c"), groups=(group(strategy=ALL),), obedient=False)
    tree.falls("b")
    assert tree.falls("a") == ""
    assert tree.falls("c") == "+a +b +c"
    assert tree.board.tree.branches["g"].restarts == 1


def test_an_earlier_member_that_falls_in_a_round_widens_it() -> None:
    tree = Tree(member("a"), member("b"), member("c"), groups=(group(strategy=REST),), obedient=False)
    assert tree.falls("b") == "-c"
    assert tree.falls("a") == ""
    assert tree.falls("c") == "+a +b +c"
    assert tree.board.tree.branches["g"].restarts == 2


def nested(outer: Strategy, *, inner_most: int = 2, outer_most: int = 2, root: int = 0) -> Tree:
    inner = group("in", ONE, limit=times(inner_most), on_give_up=OnGiveUp.ESCALATE, parent="out")
    around = group("out", outer, limit=times(outer_most), on_give_up=OnGiveUp.ESCALATE)
    jobs = member("a", "out"), member("x", "in"), member("y", "in"), member("z", "out")
    return Tree(*jobs, groups=(around, inner), root=root)


def test_limits_multiply_over_levels_and_the_root_ends_the_supervisor() -> None:
    tree = nested(ONE)
    starts = 1
    while tree.board.ending is None:
        starts += tree.falls("x").count("+x")
    assert starts == (2 + 1) * (2 + 1)
    assert tree.board.ending.code == 1


@pytest.mark.parametrize(
    ("outer", "follows"),
    [(ONE, "-y +x +y"), (ALL, "-y -z -a +a +x +y +z"), (REST, "-y -z +x +y +z")],
    ids=str,
)
def test_a_group_that_gave_up_is_a_failed_child_of_its_parent(outer: Strategy, follows: str) -> None:
    tree = nested(outer, inner_most=0)
    assert tree.falls("x") == follows
    assert tree.group("in") == "running"


def test_a_group_is_stopped_as_one_child_in_its_place() -> None:
    tree = nested(ALL)
    assert tree.falls("a") == "-z -y -x +a +x +y +z"


def test_the_root_restarts_a_whole_group_where_it_may() -> None:
    tree = nested(ONE, inner_most=0, outer_most=0, root=1)
    assert tree.falls("x") == "-y -z -a +a +x +y +z"
    assert tree.board.ending is None
    tree.falls("x")
    assert tree.board.ending is not None


def test_a_group_by_hand_stops_in_reverse_order_and_starts_in_order() -> None:
    tree = abc(ONE)
    assert tree.order(StopRequested(), "g") == "-c -b -a"
    assert tree.group() == "stopped"
    assert all(tree.board.slots[SlotId(name)].saved().held for name in "abc")
    assert tree.order(StartRequested(), "g") == "+a +b +c"
    assert tree.order(RestartRequested(), "g") == "-c -b -a +a +b +c"
    assert tree.board.tree.branches["g"].restarts == 0


def test_a_start_by_hand_in_the_midst_of_a_stop_wins() -> None:
    tree = Tree(member("a"), member("b"), groups=(group(),), obedient=False)
    assert tree.order(StopRequested(), "g") == "-b"
    assert tree.board.slots[SlotId("a")].saved().held
    tree.order(StartRequested(), "g")
    assert tree.falls("b") == "+b"
    assert [tree.word(name) for name in "ab"] == ["running", "running"]


def test_shutdown_keeps_the_order_of_groups_and_stops_the_others_side_by_side() -> None:
    jobs = member("a"), member("b"), member("alone", None), member("user", None, after=("alone",))
    tree = Tree(*jobs, groups=(group(),), obedient=False)
    tree.news()
    tree.perform(tree.board.shut_down(0, tree.now))
    assert sorted(tree.news().split()) == ["-b", "-user"]
    assert tree.falls("b") == "-a"
    assert tree.falls("user") == "-alone"
    tree.falls("a")
    tree.falls("alone")
    assert tree.board.is_at_rest


def test_shutdown_kills_what_is_left_at_its_deadline_also_what_had_not_been_asked() -> None:
    tree = Tree(member("a"), member("b"), groups=(group(),), obedient=False)
    tree.perform(tree.board.shut_down(0, tree.now))
    tree.until(later(timedelta(seconds=30)).wall)
    assert tree.board.is_at_rest
    assert {tree.word(name) for name in "ab"} == {"stopped"}


def test_a_job_waits_for_those_that_it_is_after() -> None:
    jobs = member("web", None, after=("db",)), member("db", None, backoff=SLOW)
    tree = Tree(*jobs, groups=())
    assert tree.news() == "+db +web"
    tree.falls("db")
    assert tree.falls("web") == ""
    assert hindrance(tree.board.tree, tree.board.slots[SlotId("web")]) == "waits for db, which failed: exit 1"
    tree.until(tree.now.wall + SECOND)
    assert tree.news() == "+db +web"


def test_after_a_job_that_ended_well_is_met_and_after_a_failed_one_is_not() -> None:
    ended = member("migrate", None, restart=Restart.NEVER)
    jobs = ended, member("web", None, after=("migrate",))
    for how, word in ((Code(0), "running"), (BAD, "barred")):
        tree = Tree(*jobs, groups=())
        tree.order(StopRequested(), "web")
        tree.falls("migrate", how=how)
        tree.order(StartRequested(), "web")
        assert tree.word("web") == word


def test_the_instances_of_a_job_are_one_member() -> None:
    pair = replace(member("b"), instances=2)
    tree = Tree(member("a"), pair, member("c"), groups=(group(strategy=REST),))
    assert tree.news() == "+a +b +b +c"
    assert tree.falls("b") == "-c -b +b +b +c"


def test_a_periodic_member_is_released_and_held_back_with_its_group() -> None:
    job = replace(periodic("poll"), group="g")
    tree = Tree(member("a"), job, groups=(group(strategy=ALL, limit=times(0)),))
    assert tree.word("poll") == "waiting"
    tree.falls("a")
    assert tree.word("poll") == "barred"
    tree.order(StartRequested(), "g")
    assert tree.word("poll") == "waiting"


def test_a_periodic_member_is_not_run_while_its_group_is_restarted_by_hand() -> None:
    job = replace(periodic("poll"), group="g")
    tree = Tree(member("a", stop_timeout=None), job, groups=(group(),), obedient=False)
    tree.perform(tree.board.tell([], RestartRequested(), tree.now, ["g"]))
    assert tree.word("poll") == "barred"
    tree.until(tree.now.wall + 301 * SECOND)
    assert tree.word("poll") == "barred", "it is due, and those before it are still going down"
    tree.end_of("a")
    tree.until(tree.now.wall + SECOND)
    assert tree.word("a") == "running"
    assert tree.word("poll") != "barred"


def test_an_instance_that_is_taken_away_holds_nobody_up() -> None:
    pair = replace(member("a", stop_timeout=None), instances=2)
    tree = Tree(pair, member("b"), groups=(group(strategy=REST),), obedient=False)
    tree.perform(tree.board.scale("a", 1, tree.now))
    assert isinstance(tree.board.slots[SlotId("a", 2)].state, Stopping)
    assert tree.falls("b") == "+b"


def test_a_reload_restarts_nobody_and_its_limit_counts_in_the_running_window() -> None:
    tree = abc(ONE, most=5)
    for _ in range(3):
        tree.falls("a")
    jobs = tuple(replace(job, supervision=replace(job.supervision, limit=times(3))) for job in tree.jobs)
    tree.perform(tree.board.apply(jobs, tree.now, (group(limit=times(3)),)))
    assert tree.news() == ""
    assert tree.falls("b") == "-c -a"
    assert tree.group() == "failed"


def test_a_job_that_leaves_its_fenced_group_starts() -> None:
    tree = abc(ONE, most=0)
    tree.falls("b")
    jobs = tuple(replace(job, group=None) if job.name == "c" else job for job in tree.jobs)
    tree.perform(tree.board.apply(jobs, tree.now, (group(limit=times(0)),)))
    assert tree.news() == "+c"


@pytest.mark.parametrize("last", [StopRequested(), RestartRequested()], ids=["stop", "restart"])
@pytest.mark.parametrize("names", [(), ("g",)], ids=["each", "group"])
def test_of_two_orders_to_a_group_the_last_one_counts(last: Event, names: tuple[str, ...]) -> None:
    tree = Tree(member("a"), member("b"), groups=(group(),), obedient=False)
    first = RestartRequested() if isinstance(last, StopRequested) else StopRequested()
    tree.perform(tree.board.tell([], first, tree.now, ["g"]))
    slots = [] if names else [SlotId("a"), SlotId("b")]
    tree.perform(tree.board.tell(slots, last, tree.now, names))
    for _ in range(4):
        for run_id in sorted(tree.alive, reverse=True):
            if any(isinstance(order, Stop) and order.run_id == run_id for order in tree.orders):
                tree.end(run_id)
        tree.until(tree.now.wall + SECOND)
    assert {tree.word("a"), tree.word("b")} == {"stopped" if isinstance(last, StopRequested) else "running"}


def test_a_removed_member_that_a_restart_had_yet_to_come_to_does_not_come_back() -> None:
    tree = Tree(member("a"), member("b"), groups=(group(),), obedient=False)
    tree.perform(tree.board.tell([], RestartRequested(), tree.now, ["g"]))
    tree.perform(tree.board.apply(tree.jobs[1:], tree.now, tree.groups))
    tree.end_of("b")
    tree.end_of("a")
    assert SlotId("a") not in tree.board.slots
    assert tree.word("b") == "running"
