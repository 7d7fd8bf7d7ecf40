"""A board on a virtual clock, without processes: what would happen, by the very rules by which it does happen.

Processes come up at once and rows are on disk at once; a run ends when the length that it is given is over, or when it
is asked to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import MappingProxyType

from supervisor.core.actions import Action, Keep, Kill, Spawn, Stop, Tick
from supervisor.core.board import Board
from supervisor.core.effects import Effects
from supervisor.core.events import Committed, Exited, Serving, Spawned, TargetFound, TickEnded
from supervisor.core.exits import Code, ErrorRecord, Exit, Signalled
from supervisor.core.instants import Mono, Now
from supervisor.core.job import Job, Run
from supervisor.core.kind import Kind
from supervisor.core.runs import Attempt, Closed, RunId, Saved, SavedGroup, SlotId
from supervisor.core.tree.group import Group
from supervisor.values import dataclass, field

Lengths = Callable[[Attempt], timedelta | None]
"""How long a run or tick takes; None is until it is ended by hand."""
GOOD = Code(0)
_KILLED = Signalled(9)


def forever(_: Attempt) -> None:
    """Let no run end by itself."""


@dataclass(slots=True, kw_only=True)
class Simulation:
    """A board, the moment at which it stands, and what runs on it."""

    board: Board
    now: Now
    workers: frozenset[str] = frozenset()
    """The jobs whose ``run`` names a Worker; of the others it names a function."""
    obedient: bool = True
    """Processes end as soon as they are asked to."""
    watch: Callable[[Action, Now], object] = lambda *_: None
    """Is told of each order, before what follows from it."""
    alive: dict[RunId, Attempt] = field(default_factory=dict)
    """The processes, by run id."""
    ticking: dict[RunId, Attempt] = field(default_factory=dict)
    """The tick that a Worker is in, by the run id of its process."""
    _ends: list[tuple[Mono, int, RunId, RunId]] = field(default_factory=list)
    """A heap of (end, order, process, run or tick); entries of what has ended before are thrown away."""
    _planned: set[RunId] = field(default_factory=set)
    _fresh: list[tuple[RunId, Attempt]] = field(default_factory=list)
    """Processes and their runs or ticks whose end is not planned yet."""
    _order: Iterator[int] = field(default_factory=count)

    def begin(
        self,
        jobs: Iterable[Job],
        saved: Mapping[SlotId, Saved],
        groups: Sequence[Group] = (),
        lost: Iterable[Closed] = (),
        saved_groups: Mapping[str, SavedGroup] = MappingProxyType({}),
    ) -> None:
        """Take on jobs and groups, with what an earlier supervisor left of them, and tell what their targets are."""
        jobs = tuple(jobs)
        self.perform(self.board.begin(jobs, saved, self.now, lost, groups, saved_groups))
        for job in jobs:
            if isinstance(job.target, Run):
                found = TargetFound(Kind.WORKER if job.name in self.workers else Kind.FUNCTION)
                slots = [slot.id for slot in self.board.slots_of(job.name)]
                self.perform(self.board.tell(slots, found, self.now))

    def perform(self, effects: Effects) -> None:
        """Perform what follows from a fact, and what follows from that."""
        for action in effects.actions:
            self.watch(action, self.now)
            match action:
                case Keep(ack=int(run_id)):
                    self.perform(self.board.handle(Committed(run_id), self.now))
                case Spawn(run=run):
                    self._spawn(run)
                case Tick(run_id=run_id, run=run):
                    self.ticking[run_id] = run
                    self._fresh.append((run_id, run))
                case Stop(run_id=run_id, signal=number) if self.obedient:
                    self.end(run_id, Signalled(number))
                case Kill(run_id=run_id):
                    self.end(run_id, _KILLED)

    def _spawn(self, run: Attempt) -> None:
        self.alive[run.run_id] = run
        if run.due_at is not None:
            self._fresh.append((run.run_id, run))
        self.perform(self.board.handle(Spawned(run.run_id, run.run_id), self.now))
        if run.slot.job in self.workers:
            self.perform(self.board.handle(Serving(run.run_id), self.now))

    def end(self, run_id: RunId, ended: Exit = GOOD, error: ErrorRecord | None = None) -> None:
        """Let a process end."""
        run = self.alive.pop(run_id)
        tick = self.ticking.pop(run_id, run)
        self._planned -= {run.run_id, tick.run_id}
        self.perform(self.board.handle(Exited(run_id=run_id, ended=ended, error=error), self.now))

    def end_tick(self, run_id: RunId) -> None:
        """Let the tick of a Worker's process return."""
        tick = self.ticking.pop(run_id)
        self._planned.discard(tick.run_id)
        self.perform(self.board.handle(TickEnded(run_id=run_id, tick_id=tick.run_id), self.now))

    def until(self, wall: datetime, *, lasting: Lengths = forever, ended: Exit = GOOD) -> None:
        """Let time pass up to a wall instant; each run of a due time ends, and how, when its length is over."""
        while self.step(wall, lasting=lasting, ended=ended):
            continue

    def step(self, horizon: datetime, *, lasting: Lengths = forever, ended: Exit = GOOD) -> bool:
        """Go on to the next moment at which something happens, at most to the horizon; tell whether it lies before."""
        self._plan(lasting)
        last = self.now.mono + (horizon - self.now.wall)
        deadline, end = self.board.deadline(), self._next_end()
        moment = min((at for at in (deadline, end) if at is not None), default=None)
        if moment is None or moment > last:
            self._pass_to(last)
            return False
        self._pass_to(max(moment, self.now.mono))
        while (at := self._next_end()) is not None and at <= self.now.mono:
            _, _, process, run_id = heappop(self._ends)
            if process == run_id:
                self.end(process, ended)
            else:
                self.end_tick(process)
        self.perform(self.board.advance(self.now))
        return True

    def _pass_to(self, mono: Mono) -> None:
        self.now = Now(self.now.wall_of(mono), mono)

    def _next_end(self) -> Mono | None:
        while self._ends and self._ends[0][3] not in self._planned:
            heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _plan(self, lasting: Lengths) -> None:
        """Plan the ends of what has started, but for what is not to end by itself."""
        fresh, self._fresh = self._fresh, []
        for process, run in fresh:
            length = lasting(run) if process in self.alive else None
            if length is not None:
                self._planned.add(run.run_id)
                heappush(self._ends, (self.now.mono + length, next(self._order), process, run.run_id))
            elif process in self.alive:
                self._fresh.append((process, run))
