"""Values to test the core with: a virtual clock, jobs, slots in every state, and a board that a test can drive."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from supervisor.core.actions import Action, Keep, Kill, Spawn, Stop, Tick
from supervisor.core.board import Board, Effects, Rules
from supervisor.core.events import Cause, Committed, Exited, Serving, Spawned, TargetFound, TickEnded
from supervisor.core.exits import Code, ErrorRecord, Exit, Signalled
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job, Limit, Run, Supervision, Timing
from supervisor.core.kind import Kind
from supervisor.core.runs import Attempt, Closed, NotRun, Opened, Saved, SlotId, Trigger
from supervisor.core.schedule import Delay, Every, Schedule

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
START = Now(NOON, timedelta(hours=1))
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
ONCE_IN_A_LIFE = Limit(max_restarts=0, within=timedelta(seconds=60))


def at(clock: str, day: int = 24) -> datetime:
    """Return ``"12:05"`` or ``"12:05:30"`` of the test's day."""
    hour, minute, *second = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, *second, tzinfo=UTC)


def later(by: timedelta, now: Now = START) -> Now:
    return Now(now.wall + by, now.mono + by)


def long_lived(name: str = "web", **supervision: object) -> Job:
    return Job(name=name, target=Command(argv=("web",)), supervision=Supervision(**supervision))  # type: ignore[arg-type]


def periodic(name: str = "poll", schedule: Schedule | None = None, **timing: object) -> Job:
    schedule = schedule or Every(interval=5 * MINUTE)
    return Job(name=name, target=Command(argv=("poll",)), schedule=schedule, timing=Timing(**timing))  # type: ignore[arg-type]


def worker(name: str = "clock", schedule: Schedule | None = None, **supervision: object) -> Job:
    schedule = schedule or Every(interval=5 * MINUTE)
    rules = Supervision(**supervision)  # type: ignore[arg-type]
    return Job(name=name, target=Run(target="jobs:Clock"), schedule=schedule, supervision=rules)


@dataclass
class World:
    """A board on a virtual clock whose processes start at once and end when the test says so."""

    jobs: tuple[Job, ...]
    now: Now = START
    saved: dict[SlotId, Saved] = field(default_factory=dict)
    root: Limit = ONCE_IN_A_LIFE
    max_running: int | None = None
    boot: str = "boot-1"
    first_run_id: int = 1
    workers: frozenset[str] = frozenset()
    obedient: bool = False
    """Processes end as soon as they are asked to."""
    alive: dict[int, Attempt] = field(default_factory=dict)
    ticking: dict[int, Attempt] = field(default_factory=dict)
    starts: list[tuple[str, datetime | None, datetime]] = field(default_factory=list)
    """(job, due time, start) of every run and tick, in order."""
    rows: list[Closed | NotRun | Opened] = field(default_factory=list)
    orders: list[Action] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: dict[int, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pids = count(100)
        self.board = Board(
            Rules(root=self.root, max_running=self.max_running),
            seed="seed",
            boot=self.boot,
            next_run_id=self.first_run_id,
        )
        self.perform(self.board.begin(self.jobs, self.saved, self.now))
        for job in self.jobs:
            if isinstance(job.target, Run):
                kind = Kind.WORKER if job.name in self.workers else Kind.FUNCTION
                self.tell(job.name, TargetFound(kind))

    def perform(self, effects: Effects) -> None:
        self.notes += effects.notes
        for action in effects.actions:
            self.orders.append(action)
            match action:
                case Keep(record=Saved() as saved):
                    self.saved[saved.slot] = saved
                case Keep(record=(Opened() | Closed() | NotRun()) as row, ack=ack):
                    self.rows.append(row)
                    if ack is not None:
                        self.perform(self.board.handle(Committed(ack), self.now))
                case Spawn(run=run):
                    self.alive[run.run_id] = run
                    if run.trigger is not Trigger.START or run.slot.job not in self.workers:
                        self.starts.append((run.slot.job, run.due_at, self.now.wall))
                    self.perform(self.board.handle(Spawned(run.run_id, next(self.pids)), self.now))
                    if run.slot.job in self.workers:
                        self.perform(self.board.handle(Serving(run.run_id), self.now))
                case Tick(run_id=run_id, run=run):
                    self.ticking[run_id] = run
                    self.starts.append((run.slot.job, run.due_at, self.now.wall))
                case Stop(run_id=run_id, signal=number) if self.obedient:
                    self.end(run_id, Signalled(number))
                case Kill(run_id=run_id):
                    self.end(run_id, Code(137))

    def tell(self, name: str, event: object) -> None:
        slots = [slot for slot in self.board.slots if slot.job == name and not slot.lane]
        self.perform(self.board.tell(slots, event, self.now))  # type: ignore[arg-type]

    def end(self, run_id: int, ended: Exit = Code(0), error: ErrorRecord | None = None) -> None:  # noqa: B008  # frozen
        self.alive.pop(run_id)
        self.ticking.pop(run_id, None)
        self.perform(self.board.handle(Exited(run_id=run_id, ended=ended, error=error), self.now))

    def end_of(self, name: str, ended: Exit = Code(0)) -> None:  # noqa: B008  # frozen
        self.end(min(run_id for run_id, run in self.alive.items() if run.slot.job == name), ended)

    def end_tick(self, name: str) -> None:
        run_id = next(run_id for run_id, run in self.ticking.items() if run.slot.job == name)
        tick = self.ticking.pop(run_id)
        self.perform(self.board.handle(TickEnded(run_id=run_id, tick_id=tick.run_id), self.now))

    def until(
        self,
        wall: datetime,
        *,
        lasting: timedelta | Callable[[Attempt], timedelta] | None = None,
        ended: Exit = Code(0),  # noqa: B008  # frozen
    ) -> None:
        """Let time pass up to a wall instant; each due run ends ``lasting`` after its start (None: never by itself)."""
        horizon = self.now.mono + (wall - self.now.wall)
        while True:
            self._plan_ends(lasting)
            deadline = self.board.deadline()
            moments = [*self.ends.values(), *([deadline] if deadline is not None else [])]
            moment = max(min(moments, default=horizon), self.now.mono)
            if moment > horizon or not moments:
                self.now = later(horizon - self.now.mono, self.now)
                return
            self.now = later(moment - self.now.mono, self.now)
            for run_id in [run_id for run_id, end in self.ends.items() if end <= moment]:
                self.end(run_id, ended)
            self.perform(self.board.advance(self.now))

    def _plan_ends(self, lasting: timedelta | Callable[[Attempt], timedelta] | None) -> None:
        self.ends = {run_id: end for run_id, end in self.ends.items() if run_id in self.alive}
        if lasting is None:
            return
        for run_id, run in self.alive.items():
            if run.due_at is not None:
                takes = lasting if isinstance(lasting, timedelta) else lasting(run)
                self.ends.setdefault(run_id, self.now.mono + takes)

    def set_clock(self, by: timedelta) -> None:
        self.now = Now(self.now.wall + by, self.now.mono)
        self.perform(self.board.advance(self.now))

    def suspend(self, until: datetime) -> None:
        self.now = later(until - self.now.wall, self.now)
        self.perform(self.board.slept(self.now))
        self.perform(self.board.advance(self.now))

    def killed(self, *, until: datetime, jobs: tuple[Job, ...] | None = None) -> "World":
        """Return the world of the next supervisor after a SIGKILL, on what was saved."""
        return World(
            jobs or self.jobs,
            now=Now(until, START.mono),
            saved=dict(self.saved),
            max_running=self.max_running,
            first_run_id=1000,
            workers=self.workers,
        )

    def state(self, name: str) -> object:
        return self.board.slots[SlotId(name)].state

    def finals(self, name: str) -> list[tuple[datetime | None, str]]:
        return [
            (row.run.due_at, row.outcome.value)
            for row in self.rows
            if isinstance(row, NotRun) or (isinstance(row, Closed) and row.final)
            if row.run.slot.job == name
        ]

    def stops(self) -> list[Cause]:
        return [order.cause for order in self.orders if isinstance(order, Stop)]


__all__ = ["Delay", "World", "replace"]
