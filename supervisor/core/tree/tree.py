"""The tree at work: what the end, the start and the stop of a member mean to the others. OTP's supervisor, nested.

Rules of this file:
- It is told of every slot that has changed, and answers with orders to slots, in order; the board gives them.
- Strategies act only on a member that is to be restarted: a slot asks (``fell``), the group charges, then answers.
- Slots that fell are judged together at the next look at the clock, in group order: what was seen in one turn of the
  loop is one failure where the strategy makes it one.
- A start waits for the gate (``admits``), a stop for its turn (``Descent``); nobody polls.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import timedelta
from heapq import heappop, heappush
from itertools import count

from supervisor.core.actions import Keep
from supervisor.core.chance import chance
from supervisor.core.durations import format_duration
from supervisor.core.events import (
    Allowed,
    Cause,
    Event,
    Refused,
    Released,
    Renewed,
    RestartRequested,
    StartRequested,
    StopRequested,
)
from supervisor.core.instants import ZERO, Mono, Now
from supervisor.core.job import Job, Limit, OnGiveUp
from supervisor.core.policy import charge, delay
from supervisor.core.runs import ForgottenGroup, SavedGroup, SlotId
from supervisor.core.slot import Slot
from supervisor.core.snapshot import TreeSnapshot
from supervisor.core.states import Barred, Stopped, Wanted
from supervisor.core.tree.group import Group, Strategy
from supervisor.core.tree.orders import EndAll, Order, Tell
from supervisor.core.tree.phase import Branch, Fenced, Lowering, Phase, Raised, branch_of
from supervisor.core.tree.readiness import is_down, is_met, releases
from supervisor.core.tree.root import Root
from supervisor.core.tree.shape import Place, Shape, shape_of
from supervisor.core.tree.stops import Stops
from supervisor.values import replace


class Tree:
    """The groups of a manifest as they stand, and the order in which jobs start and stop."""

    def __init__(self, root: Limit, look: Callable[[str], Sequence[Slot]], seed: str) -> None:
        self.shape = Shape()
        self.branches: dict[str, Branch] = {}
        self.orders: deque[Order] = deque()
        self.notes: list[str] = []
        """What the supervisor's own log shall say."""
        self.look = look
        """Returns the instances of a job."""
        self._seed = seed
        self._root = Root(root)
        self._is_ending = False
        self._fallen: list[SlotId] = []
        self._stale: deque[str] = deque()
        """Groups whose next member may start."""
        self._stops = Stops(look, self._tell, self._stale.append)
        self._heap: list[tuple[Mono, int, str]] = []
        self._tickets = count()

    # -- what slots ask ------------------------------------------------------------------------------------------------

    def admits(self, job: Job) -> bool:
        """Tell whether a job may start: its groups have come to it, and those that it is ``after`` are ready."""
        if self._is_ending:
            return False
        if job.group is None and not job.after:
            return True
        return self.is_open(job.name) and all(map(self._met, job.after))

    def _met(self, job: str) -> bool:
        slots = self.look(job)
        return all(map(is_met, slots)) if slots else job not in self.shape.jobs

    def concerns(self, slot_id: SlotId) -> bool:
        """Tell whether anybody waits, or may wait, for a slot."""
        job = slot_id.job
        return job in self.shape.places or job in self.shape.dependents or slot_id in self._stops

    def fell(self, slot_id: SlotId) -> None:
        """Take a slot that is to be restarted; ``settle`` judges it."""
        self._fallen.append(slot_id)

    def deadline(self) -> Mono | None:
        """Return the monotonic instant at which ``settle`` wants to be called; zero is at once, None is never."""
        if self._fallen:
            return ZERO
        while self._heap and not self._waits(self._heap[0][2], self._heap[0][0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _waits(self, name: str, until: Mono) -> bool:
        branch = self.branches.get(name)
        return branch is not None and isinstance(branch.phase, Lowering) and branch.phase.until == until

    def settle(self, now: Now) -> None:
        """Judge the slots that fell, in group order, and let groups start whose back-off has passed."""
        if self._fallen and not self._is_ending:
            fallen = sorted(set(self._fallen), key=lambda at: (*self.shape.rank(at.job), at.instance))
            for slot_id in fallen:
                self._judge(slot_id, now)
        self._fallen.clear()
        while self._heap and self._heap[0][0] <= now.mono:
            until, _, name = heappop(self._heap)
            if self._waits(name, until):
                self._stale.append(name)

    # -- failures ------------------------------------------------------------------------------------------------------

    def _judge(self, slot_id: SlotId, now: Now) -> None:
        slot = next((each for each in self.look(slot_id.job) if each.id == slot_id), None)
        if slot is None or not isinstance(slot.state, Barred) or slot.state.last is None:
            return  # stopped, or started by hand meanwhile
        place = self.shape.places.get(slot_id.job)
        if place is None:  # it left its group while it waited
            self._tell(slot_id, Allowed(ZERO))
            return
        if self._is_swept(slot_id.job):
            self._tell(slot_id, StopRequested(Cause.GROUP))
            return
        wait = delay(slot.job.supervision.backoff, slot.streak + 1, self._luck(slot_id, now))
        refused = self._restart(place, wait, slot.state.last, now, spare=slot_id)
        self._tell(slot_id, Refused(refused) if refused else Allowed(wait))

    def _luck(self, name: object, now: Now) -> float:
        return chance(self._seed, "restart", name, now.mono)

    def _is_swept(self, name: str) -> bool:
        return any(self.branches[place.group].sweeps(place.index) for place in self.shape.places_of(name))

    def _restart(
        self, place: Place, wait: timedelta, last: str, now: Now, *, spare: SlotId | None = None
    ) -> str | None:
        """Charge the restart of a member and begin its round; return why not, where the group gives up."""
        branch = self.branches[place.group]
        limit = branch.group.limit
        filled = charge(branch.window, limit, now)
        if filled is None:
            reason = f"gave up after {limit.max_restarts} restarts in {format_duration(limit.within)}: {last}"
            self._lower(branch, Lowering(first=0, cause=Cause.GROUP, fails=reason), spare=spare)
            return reason
        branch = replace(branch, window=filled, restarts=branch.restarts + 1)
        self._put(branch)
        until = now.mono + wait if wait else None
        member = self.shape.members[place.group][place.index]
        match branch.group.strategy:
            case Strategy.ONE_FOR_ALL:
                self._lower(branch, Lowering(first=0, cause=Cause.GROUP, until=until, waits_for=member), spare=spare)
            case Strategy.REST_FOR_ONE:
                phase = Lowering(first=place.index, cause=Cause.GROUP, until=until, waits_for=member)
                self._lower(branch, phase, spare=spare)
        return None

    def _gave_up(self, name: str, reason: str, now: Now) -> None:
        """Answer that a group has given up and all its members are down."""
        branch = self.branches[name]
        self._put(branch.at(Fenced(reason)))
        self.notes.append(f"group {name} {reason}")
        place = self.shape.places.get(name)
        if branch.group.on_give_up is OnGiveUp.FENCE:
            self._look_around(name)
        elif place is None:
            if self._root_allows(f"group {name}", now):
                self._renew(name)
        elif self._is_swept(name):
            self._renew(name)
        else:
            self._fail_upwards(branch, place, now)

    def _fail_upwards(self, branch: Branch, place: Place, now: Now) -> None:
        """Let the parent see a failed child: it restarts the group as a whole, with a fresh count, or gives up too."""
        name, parent = branch.group.name, self.branches[place.group].group
        ran_well = branch.ready_since is not None and now.mono - branch.ready_since >= parent.limit.within
        streak = 1 if ran_well else branch.streak + 1
        wait = delay(parent.backoff, streak, self._luck(name, now))
        branch = replace(branch.at(Raised(0)), streak=streak, ready_since=None)
        self._put(branch)
        refused = self._restart(place, wait, f"group {name} gave up", now)
        if not refused and parent.strategy is Strategy.ONE_FOR_ONE:
            self._lower(branch, Lowering(first=0, cause=Cause.GROUP, until=now.mono + wait, anew=True))

    def job_gave_up(self, slot_id: SlotId, now: Now) -> None:
        """Answer that an essential job of no group has given up: the root group, one_for_one, sees a failed child."""
        if self._root_allows(slot_id.job, now):
            self._tell(slot_id, StartRequested())

    def _root_allows(self, what: str, now: Now) -> bool:
        if self._is_ending:
            return False
        if not self._root.allows(now):
            self.notes.append(f"{what} gave up and is essential: the supervisor ends")
            self.orders.append(EndAll())
            self._begin_anew()
            return False
        self.notes.append(f"{what} gave up; the root group restarts it")
        return True

    # -- down ----------------------------------------------------------------------------------------------------------

    def _lower(self, branch: Branch, phase: Lowering, *, spare: SlotId | None = None) -> None:
        """Stop the members of a group from ``phase.first`` on, in reverse order; what follows, the phase says.

        The ``spare`` slot has fallen and is told by itself what becomes of it.
        """
        name = branch.group.name
        self._put(branch.at(phase))
        if phase.until is not None:
            heappush(self._heap, (phase.until, next(self._tickets), name))
        members = self.shape.members[name][phase.first :]
        for below in (each for member in members for each in self.shape.groups_below(member)):
            inner = self.branches[below]
            if phase.cause is not Cause.GROUP or not isinstance(inner.phase, Fenced):
                self._put(inner.at(Raised(0)))
        jobs = (job for member in members for job in self.shape.jobs_below(member))
        slots = [slot.id for job in jobs for slot in self.look(job) if slot.id != spare]
        self._stops.begin(slots, self.shape, phase.cause, name)
        self._stale.append(name)

    # -- up ------------------------------------------------------------------------------------------------------------

    def pump(self, now: Now) -> None:
        """Go on with the groups that can go on; called when every order has been given."""
        while self._stale and not self.orders:
            name = self._stale.popleft()
            branch = self.branches.get(name)
            match branch.phase if branch is not None else None:
                case Lowering() as phase:
                    self._go_on(name, phase, now)
                case Raised():
                    self._raise(name, now)

    def _go_on(self, name: str, phase: Lowering, now: Now) -> None:
        """Start a group that has been lowered, or leave it failed."""
        if self._stops.is_lowering(name) or (phase.until is not None and now.mono < phase.until):
            return
        self._stops.drop(name)
        if phase.fails is not None:
            self._gave_up(name, phase.fails, now)
        elif phase.anew:
            self._renew(name)
        else:
            self._put(self.branches[name].at(Raised(0)))
            if phase.cause is Cause.GROUP:
                self._renew_inner(self.shape.members[name][phase.first :])
            self._stale.append(name)

    def _renew(self, name: str) -> None:
        """Let a whole group start anew, with a fresh count; groups in it that are fenced stay so."""
        self._put(replace(self.branches[name].at(Raised(0)), window=(), ready_since=None))
        members = self.shape.members[name]
        for slot in (slot for member in members if member not in self.branches for slot in self.look(member)):
            self._tell(slot.id, Renewed())
        self._renew_inner(members)
        self._stale.append(name)

    def _renew_inner(self, members: Iterable[str]) -> None:
        for member in members:
            if member in self.branches and not isinstance(self.branches[member].phase, Fenced):
                self._renew(member)

    def _raise(self, name: str, now: Now) -> None:
        """Let the next member of a group start, if those before it are ready and the groups around have come to it."""
        branch = self.branches[name]
        if not isinstance(branch.phase, Raised) or self._is_ending or not self.is_open(name):
            return
        members = self.shape.members[name]
        holds = branch.group.strategy is Strategy.REST_FOR_ONE
        upto = branch.phase.upto
        while upto < len(members) and self._has_risen(members[upto], holds=holds):
            upto += 1
        passed = members[branch.phase.upto : upto]
        is_complete = upto == len(members)
        since = now.mono if is_complete and branch.ready_since is None else branch.ready_since
        self._put(replace(branch.at(Raised(upto)), ready_since=since))
        for inner in (each for each in passed if each in self.branches):
            for job in self.shape.jobs_below(inner):  # one may have fallen while the groups around were not open
                self._wake(job)
        if is_complete:
            self._look_around(name)
        else:
            self._wake(members[upto])

    def is_stopping(self, name: str) -> bool:
        """Tell whether members of a group are being stopped."""
        return self._stops.is_lowering(name)

    def _has_risen(self, member: str, *, holds: bool) -> bool:
        branch = self.branches.get(member)
        if branch is None:
            return all(releases(slot, holds=holds) for slot in self.look(member))
        match branch.phase:
            case Raised(upto=upto):
                return upto == len(self.shape.members[member])
        return isinstance(branch.phase, Fenced)

    def is_fenced(self, name: str) -> bool:
        """Tell whether a group around a job or group has given up."""
        return any(isinstance(self.branches[place.group].phase, Fenced) for place in self.shape.places_of(name))

    def is_open(self, name: str) -> bool:
        """Tell whether the groups around a job or group have come to it."""
        return all(self.branches[place.group].admits(place.index) for place in self.shape.places_of(name))

    def _look_around(self, name: str) -> None:
        """Have the group around look whether it can go on, where it is this member's turn."""
        place = self.shape.places.get(name)
        if place is not None and self.branches[place.group].phase == Raised(place.index):
            self._stale.append(place.group)

    def _wake(self, member: str) -> None:
        if member in self.branches:
            self._stale.append(member)
            match self.branches[member].phase:
                case Lowering(first=first):  # a reload may have put new ones before those that a round has stopped
                    for each in self.shape.members[member][:first]:
                        self._wake(each)
            return
        for slot in self.look(member):
            if isinstance(slot.state, Barred) and slot.state.last is None and self.admits(slot.job):
                self._tell(slot.id, Released())

    def noticed(self, before: Slot, after: Slot) -> None:
        """Take the change of a slot: others may wait for its end, or for it to be ready."""
        slot_id = after.id
        if slot_id in self._stops and is_down(after):
            self._stops.went_down(slot_id)
        if isinstance(after.state, Stopped) and after.state is not before.state and after.wanted is Wanted.HELD:
            self._hold_back(slot_id.job)
        self._look_around(slot_id.job)
        if slot_id.job in self.shape.dependents and is_met(after) and not is_met(before) and self._met(slot_id.job):
            for job in self.shape.dependents[slot_id.job]:
                self._wake(job)

    def _hold_back(self, job: str) -> None:
        """Under rest_for_one have none start any more after a member that is held; those that run do so."""
        place = self.shape.places.get(job)
        branch = self.branches[place.group] if place is not None else None
        match branch:
            case Branch(group=Group(strategy=Strategy.REST_FOR_ONE), phase=Raised(upto=upto)) if place is not None:
                self._put(branch.at(Raised(min(upto, place.index))))

    # -- by hand -------------------------------------------------------------------------------------------------------

    def start(self, slots: Sequence[SlotId], groups: Sequence[str]) -> None:
        """Start by hand: out of hold, give-up and back-off; one member of a fenced group starts it as a whole."""
        self._hurry(slots, groups)
        for name in (*groups, *dict.fromkeys(at.job for at in slots)):
            self._unfence(name)
        for name in groups:
            for below in self.shape.groups_below(name):
                self._free(below)
        named = self._named(slots, groups)
        self._stops.spare_all(named, Cause.STOP)
        for slot_id in named:
            self._tell(slot_id, StartRequested())

    def _named(self, slots: Sequence[SlotId], groups: Sequence[str]) -> dict[SlotId, None]:
        """Return the slots that an order is for. The last of several counts, also where none has had its turn yet."""
        return dict.fromkeys((*slots, *(slot_id for name in groups for slot_id in self._below(name))))

    def _hurry(self, slots: Iterable[SlotId], groups: Iterable[str]) -> None:
        """Have groups wait no longer for the back-off of what somebody has given an order to."""
        for name in dict.fromkeys((*groups, *(at.job for at in slots))):
            place = self.shape.places.get(name)
            branch = self.branches[place.group] if place is not None else None
            match branch:
                case Branch(phase=Lowering(until=timedelta(), waits_for=waits_for) as phase) if waits_for == name:
                    self._put(branch.at(replace(phase, until=None)))
                    self._stale.append(branch.group.name)

    def _below(self, name: str) -> list[SlotId]:
        return [slot.id for job in self.shape.jobs_below(name) for slot in self.look(job)]

    def _unfence(self, name: str) -> None:
        """Clear the window of the group around, and start the outermost one as a whole that has given up."""
        fenced: str | None = None
        for place in self.shape.places_of(name):
            match self.branches[place.group].phase:
                case Fenced() | Lowering(fails=str()):
                    fenced = place.group
        own = self.shape.places.get(name)
        if own is not None:
            self._put(replace(self.branches[own.group], window=()))
        if fenced is not None:
            for below in self.shape.groups_below(fenced):
                self._free(below)
            for slot_id in self._below(fenced):
                self._tell(slot_id, Renewed())

    def _free(self, name: str) -> None:
        """Clear what keeps a group from starting; a round that is under way goes on."""
        branch = replace(self.branches[name], window=(), streak=0)
        match branch.phase:
            case Lowering(cause=Cause.GROUP):
                branch = branch.at(replace(branch.phase, fails=None, until=None))
            case Lowering():
                self._stops.drop(name)
                branch = branch.at(Raised(0))
            case _:
                branch = branch.at(Raised(0))
        self._put(branch)
        self._stale.append(name)

    def stop(self, slots: Sequence[SlotId], groups: Sequence[str], cause: Cause = Cause.STOP) -> None:
        """Stop by hand, or because a reload removed them: in reverse start order, and they stay so."""
        self._hurry(slots, groups)
        self._stops.spare_all(self._named(slots, groups), Cause.RESTART)
        for name in groups:
            self._lower(self.branches[name], Lowering(first=0, cause=cause))
        if slots:
            self._stops.begin(slots, self.shape, cause)

    def restart(self, slots: Sequence[SlotId], groups: Sequence[str]) -> None:
        """Stop, then start, by hand; a group as a whole, in its order."""
        self._hurry(slots, groups)
        self._stops.spare_all(self._named(slots, groups), Cause.STOP)
        for name in (*groups, *dict.fromkeys(at.job for at in slots)):
            self._unfence(name)
        for name in groups:
            for below in self.shape.groups_below(name):
                self._free(below)
            self._lower(self.branches[name], Lowering(first=0, cause=Cause.RESTART))
        for slot_id in slots:
            self._tell(slot_id, RestartRequested())

    def shut_down(self, slots: Sequence[SlotId]) -> None:
        """Stop all these slots in reverse start order; nothing starts any more."""
        self._is_ending = True
        self._stops.clear()
        self._stops.begin(slots, self.shape, Cause.SHUTDOWN)

    def _begin_anew(self) -> None:
        """Have the next supervisor count anew: it restarts everything as one child, and what is fenced stays so."""
        for branch in list(self.branches.values()):
            self._put(replace(branch, window=(), streak=0))

    # -- a reload ------------------------------------------------------------------------------------------------------

    def recall(self, saved: Mapping[str, SavedGroup], now: Now) -> None:
        """Have each group stand as an earlier supervisor has left it."""
        for name, branch in self.branches.items():
            self.branches[name] = branch_of(branch.group, saved.get(name), now)

    def reshape(self, jobs: Sequence[Job], groups: Sequence[Group], root: Limit) -> None:
        """Take the shape of an edited manifest: windows go on, nobody is restarted, who is free now may start."""
        was, branches = self.shape, self.branches
        self._root.limit, self.shape = root, shape_of(jobs, groups)
        self.branches = {}
        for group in groups:
            old = branches.get(group.name)
            new = Branch(group=group) if old is None else replace(old, group=group, phase=self._moved(old, was))
            self.branches[group.name] = new
        self.orders += (Keep(ForgottenGroup(group=name)) for name in branches if name not in self.branches)
        self._stops.keep_to(self.branches)
        self._stale.extend(self.branches)
        for name in dict.fromkeys((*self.shape.after, *was.after, *self.shape.places, *was.places)):
            self._wake(name)

    def _moved(self, branch: Branch, was: Shape) -> Phase:
        """Return the phase of a group whose members may be others now."""
        old, new = was.members[branch.group.name], self.shape.members[branch.group.name]
        match branch.phase:
            case Raised(upto=upto):
                return Raised(len(new) if upto == len(old) else 0)
            case Lowering(first=first) if old[first:] and old[first] in new:
                return replace(branch.phase, first=new.index(old[first]))
            case Lowering():
                return replace(branch.phase, first=0)
        return branch.phase

    def keep(self, slots: Container[SlotId]) -> None:
        """Let those of these slots stay that an earlier manifest had removed, and whose turn to stop has not come."""
        self._stops.spare_all(slots, Cause.REMOVED)

    # -- as a value ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> TreeSnapshot:
        """Return where all groups stand; every order has been given by now."""
        return TreeSnapshot(
            groups=tuple(self.shape.groups.values()),
            branches=tuple(self.branches.values()),
            root_window=self._root.window,
            is_ending=self._is_ending,
            fallen=tuple(self._fallen),
            stops=self._stops.snapshot(),
        )

    def restore(self, snapshot: TreeSnapshot, jobs: Sequence[Job]) -> None:
        """Stand where another tree of these jobs stood."""
        self.shape = shape_of(jobs, snapshot.groups)
        self._root.window, self._is_ending = snapshot.root_window, snapshot.is_ending
        self._fallen = list(snapshot.fallen)
        self._stops.restore(snapshot.stops)
        for branch in snapshot.branches:
            self.branches[branch.group.name] = branch
            if isinstance(branch.phase, Lowering) and branch.phase.until is not None:
                heappush(self._heap, (branch.phase.until, next(self._tickets), branch.group.name))

    # -- small things --------------------------------------------------------------------------------------------------

    def _put(self, branch: Branch) -> None:
        name = branch.group.name
        before, self.branches[name] = self.branches[name].saved(), branch
        if branch.saved() != before:
            self.orders.append(Keep(branch.saved()))

    def _tell(self, slot_id: SlotId, event: Event) -> None:
        self.orders.append(Tell(slot_id, event))
