"""Chaos: any sequence of facts, orders and reloads on a nested tree keeps what must always hold."""

from collections import Counter
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from world import SECOND, World, long_lived, periodic, replace

from supervisor.core.actions import Action, Spawn
from supervisor.core.checks import Told
from supervisor.core.events import Event, Ready, RestartRequested, StartRequested, StopRequested
from supervisor.core.exits import Code, ErrorRecord, Exit, Lost, Signalled
from supervisor.core.instants import Now
from supervisor.core.job import Backoff as BackoffRule
from supervisor.core.job import Limit, OnGiveUp, Restart
from supervisor.core.runs import RunId
from supervisor.core.simulation import GOOD
from supervisor.core.slot import Slot
from supervisor.core.states import Barred, New, Running, Starting, Stopped, Waiting, Wanted, process_of
from supervisor.core.tree.group import Group, Strategy
from supervisor.core.tree.phase import Fenced, Lowering, Raised
from supervisor.core.tree.reasons import why

NAMES = ("a", "b", "c", "x", "y", "lone", "user", "poll")
GROUPS = ("out", "in")
ENDS: dict[str, Exit] = {"fails": Code(1), "ends": Code(0), "killed": Signalled(9), "lost": Lost("gone")}
QUICK = BackoffRule(initial=SECOND / 5, max=SECOND, jitter=0)

strategies = st.sampled_from(Strategy)
restarts = st.sampled_from(Restart)
limits = st.sampled_from([0, 1, 3, None])
names = st.sampled_from(NAMES)


class Watched(World):
    """A world that proves of each start that the one before it in its slot is over."""

    is_reloading = False
    """A start that was under way keeps the order of the manifest by which it began."""

    def _watch(self, action: Action, now: Now) -> None:
        super()._watch(action, now)
        match action:
            case Spawn(run=run):
                others = [other for other in self.alive.values() if other.slot == run.slot]
                assert not others, f"{run.slot} starts beside {others}"
                is_early = not self.is_reloading and run.slot.job in self._held_back()
                assert not is_early, f"{run.slot} starts before its turn"

    def _held_back(self) -> set[str]:
        """Return the jobs that no group has come to yet."""
        tree = self.board.tree
        found: set[str] = set()
        for name, branch in tree.branches.items():
            match branch.phase:
                case Raised(upto=upto):
                    first = upto + 1
                case Lowering(first=first):
                    pass
                case Fenced():
                    first = 0
            for member in tree.shape.members[name][first:]:
                found |= set(tree.shape.jobs_below(member))
        return found

    def end(self, run_id: RunId, ended: Exit = GOOD, error: ErrorRecord | None = None) -> None:
        if run_id in self.alive:  # a stop_timeout and the end of the shutdown may come at the same instant
            super().end(run_id, ended, error)


class Tree(RuleBasedStateMachine):
    """out[a, b, in[x, y], c], lone, user after lone, a periodic job in the outer group."""

    def __init__(self) -> None:
        super().__init__()
        self.world: Watched
        self.charges: dict[str, list[timedelta]] = {}

    @initialize(
        outer=strategies,
        inner=strategies,
        kinds=st.lists(restarts, min_size=5, max_size=5),
        most=st.tuples(limits, limits),
        gives_up=st.tuples(st.sampled_from(OnGiveUp), st.sampled_from(OnGiveUp)),
        speaks=st.booleans(),
        backs_off=st.booleans(),
    )
    def begin(
        self,
        outer: Strategy,
        inner: Strategy,
        kinds: list[Restart],
        most: tuple[int | None, int | None],
        gives_up: tuple[OnGiveUp, OnGiveUp],
        *,
        speaks: bool,
        backs_off: bool,
    ) -> None:
        window = timedelta(seconds=60)
        backoff = QUICK if backs_off else None
        self.groups = (
            _group("out", outer, Limit(max_restarts=most[0], within=window), gives_up[0], None),
            _group("in", inner, Limit(max_restarts=most[1], within=window), gives_up[1], "out"),
        )
        homes = {"a": "out", "b": "out", "x": "in", "y": "in", "c": "out"}
        jobs = [
            replace(
                long_lived(
                    name,
                    restart=kind,
                    backoff=backoff,
                    ready=Told.NOTIFY if speaks else None,
                    start_timeout=None,
                    limit=self.groups[home == "in"].limit,
                ),
                group=home,
                instances=2 if name == "b" else 1,
            )
            for (name, home), kind in zip(homes.items(), kinds, strict=True)
        ]
        jobs.append(replace(periodic("poll"), group="out"))
        jobs.append(long_lived("lone", backoff=backoff, limit=Limit(max_restarts=5, within=window)))
        jobs.append(replace(long_lived("user", backoff=QUICK), after=("lone",)))
        root = Limit(max_restarts=3, within=window)
        self.world = Watched(tuple(jobs), root=root, groups=self.groups)

    # -- what happens --------------------------------------------------------------------------------------------------

    @property
    def alive(self) -> list[RunId]:
        return sorted(self.world.alive)

    @rule(pick=st.integers(0, 30), how=st.sampled_from(sorted(ENDS)))
    def a_process_ends(self, pick: int, how: str) -> None:
        if self.alive:
            self.world.end(self.alive[pick % len(self.alive)], ENDS[how])

    @rule(picks=st.sets(st.integers(0, 30), min_size=2, max_size=5))
    def some_end_together(self, picks: set[int]) -> None:
        alive = self.alive
        for run_id in {alive[pick % len(alive)] for pick in picks} if alive else ():
            if run_id in self.world.alive:
                self.world.end(run_id, Code(1))

    @rule(pick=st.integers(0, 30))
    def a_process_is_ready(self, pick: int) -> None:
        if self.alive:
            self.world.perform(self.world.board.handle(Ready(self.alive[pick % len(self.alive)]), self.world.now))

    @rule(seconds=st.sampled_from([0, 0.1, 0.5, 2, 30, 90]))
    def time_passes(self, seconds: float) -> None:
        self.world.until(self.world.now.wall + timedelta(seconds=seconds))

    @rule(
        event=st.sampled_from([StartRequested(), StopRequested(), RestartRequested()]), some=st.sets(names, max_size=3)
    )
    def jobs_are_ordered(self, event: Event, some: set[str]) -> None:
        slots = [slot.id for name in sorted(some) for slot in self.world.board.slots_of(name)]
        self.world.perform(self.world.board.tell(slots, event, self.world.now))

    @rule(event=st.sampled_from([StartRequested(), StopRequested(), RestartRequested()]), group=st.sampled_from(GROUPS))
    def a_group_is_ordered(self, event: Event, group: str) -> None:
        self.world.perform(self.world.board.tell([], event, self.world.now, [group]))

    @rule(instances=st.integers(1, 3))
    def a_job_is_scaled(self, instances: int) -> None:
        if self.world.board.ending is None:
            self.world.perform(self.world.board.scale("b", instances, self.world.now))

    @rule(strategy=strategies, without=st.sampled_from(["a", "b", "x", "user", ""]))
    def a_manifest_is_applied(self, strategy: Strategy, without: str) -> None:
        if self.world.board.ending is None:
            groups = tuple(replace(group, strategy=strategy) for group in self.groups)
            jobs = tuple(job for job in self.world.jobs if job.name != without)
            self.world.is_reloading = True
            self.world.perform(self.world.board.apply(jobs, self.world.now, groups))
            self.world.is_reloading = False

    # -- what always holds ---------------------------------------------------------------------------------------------

    def _slots(self) -> list[Slot]:
        return [slot for slot in self.world.board.slots.values() if not slot.is_lane]

    @invariant()
    def a_slot_has_one_process_at_most(self) -> None:
        taken = Counter(run.slot for run in self.world.alive.values())
        assert not taken or max(taken.values()) == 1

    @invariant()
    def every_process_belongs_to_a_slot_that_knows_it(self) -> None:
        known = {process.run.run_id for slot in self._slots() if (process := process_of(slot.state)) is not None}
        assert set(self.world.alive) <= known

    @invariant()
    def no_window_holds_more_restarts_than_its_limit(self) -> None:
        for branch in self.world.board.tree.branches.values():
            most = branch.group.limit.max_restarts
            assert most is None or len(branch.window) <= most

    @invariant()
    def nothing_runs_in_a_fenced_group(self) -> None:
        tree = self.world.board.tree
        for name, branch in tree.branches.items():
            if isinstance(branch.phase, Fenced):
                for slot in (slot for job in tree.shape.jobs_below(name) for slot in tree.look(job)):
                    assert not isinstance(slot.state, Running | Starting), f"{slot.label} runs in the fenced {name}"

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        """What is at rest and wanted is blocked by something that it can name."""
        board = self.world.board
        if board.ending is not None or board.tree.deadline() == timedelta(0):
            return
        for slot in self._slots():
            assert not isinstance(slot.state, New), slot.label
            if isinstance(slot.state, Stopped):
                assert slot.wanted is not Wanted.UP, slot.label
            if isinstance(slot.state, Barred) and slot.wanted is Wanted.UP:
                assert slot.state.last is None, f"nobody has judged {slot.label}"
                assert why(board.tree, slot) != "about to start", f"{slot.label} could start and does not"

    def teardown(self) -> None:
        """Whatever has happened: a stop of all comes to its end, and a start of all brings up what can be."""
        if not hasattr(self, "world"):
            return
        world, board = self.world, self.world.board
        for _ in range(2):
            if board.ending is not None:
                break
            world.perform(board.tell([slot.id for slot in self._slots()], StopRequested(), world.now, ["out"]))
            self._obey()
            assert not [slot.label for slot in self._slots() if process_of(slot.state) is not None]
            world.perform(board.tell([slot.id for slot in self._slots()], StartRequested(), world.now, ["out"]))
            self._get_ready()
            for slot in self._slots():
                assert isinstance(slot.state, Running | Waiting), (
                    f"{slot.label} is {slot.state}: {why(board.tree, slot)}"
                )
        world.perform(board.shut_down(0, world.now))
        self._obey()
        assert board.is_at_rest

    def _obey(self) -> None:
        """End what was asked to, until nothing is."""
        for _ in range(200):
            self.world.until(self.world.now.wall + 11 * SECOND)
            if not self.world.alive:
                return

    def _get_ready(self) -> None:
        for _ in range(50):
            for run_id in list(self.world.alive):
                self.world.perform(self.world.board.handle(Ready(run_id), self.world.now))
            self.world.until(self.world.now.wall + SECOND / 10)


def _group(name: str, strategy: Strategy, limit: Limit, gives_up: OnGiveUp, parent: str | None) -> Group:
    return Group(name=name, strategy=strategy, limit=limit, backoff=None, on_give_up=gives_up, parent=parent)


TestTree = Tree.TestCase
TestTree.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
