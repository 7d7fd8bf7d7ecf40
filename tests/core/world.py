"""Values to test the core with: a virtual clock, jobs, slots in every state, and a board that a test can drive."""

from datetime import UTC, datetime, timedelta

from supervisor.core.actions import Action, Keep, Spawn, Stop, Tick
from supervisor.core.board import Board, Rules
from supervisor.core.effects import Effects
from supervisor.core.events import Cause, Event
from supervisor.core.exits import Exit
from supervisor.core.instants import Now
from supervisor.core.job import Command, Job, Limit, Run, Supervision, Timing
from supervisor.core.runs import Closed, Forgotten, NotRun, Opened, Outcome, Saved, SavedGroup, SlotId, Trigger
from supervisor.core.schedule import Delay, Every, Schedule
from supervisor.core.simulation import GOOD, Lengths, Simulation, forever
from supervisor.core.tree.group import Group
from supervisor.values import replace

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


class World(Simulation):
    """A simulation that a test drives: it keeps what was ordered, and can be set, suspended and killed."""

    def __init__(
        self,
        jobs: tuple[Job, ...],
        now: Now = START,
        saved: dict[SlotId, Saved] | None = None,
        saved_groups: dict[str, SavedGroup] | None = None,
        *,
        root: Limit = ONCE_IN_A_LIFE,
        max_running: int | None = None,
        first_run_id: int = 1,
        workers: frozenset[str] = frozenset(),
        obedient: bool = False,
        groups: tuple[Group, ...] = (),
        lost: tuple[Closed, ...] = (),
        boot: str = "boot-1",
    ) -> None:
        rules = Rules(root=root, max_running=max_running)
        board = Board(rules, seed="seed", boot=boot, next_run_id=first_run_id)
        super().__init__(board=board, now=now, workers=workers, obedient=obedient, watch=self._watch)
        self.jobs = jobs
        self.saved = saved or {}
        self.saved_groups = saved_groups or {}
        self.groups, self.root, self.obeys = groups, root, obedient
        self.max_running = max_running
        self.starts: list[tuple[str, datetime | None, datetime]] = []
        """(job, due time, start) of every run and tick, in order."""
        self.rows: list[Closed | NotRun | Opened] = [*lost]
        self.orders: list[Action] = []
        self.notes: list[str] = []
        self.names: dict[int, str] = {}
        """The job of each run that was ordered."""
        self.told: list[str] = []
        """Starts and stops of processes, in order: ``+a`` and ``-a``."""
        self.begin(jobs, dict(self.saved), groups, lost, dict(self.saved_groups))

    def perform(self, effects: Effects) -> None:
        self.notes += effects.notes
        super().perform(effects)

    def _watch(self, action: Action, now: Now) -> None:
        self.orders.append(action)
        match action:
            case Spawn(run=run):
                self.names[run.run_id] = run.slot.job
                self.told.append(f"+{run.slot.job}")
            case Stop(run_id=run_id):
                self.told.append(f"-{self.names[run_id]}")
        match action:
            case Keep(record=Saved() as saved):
                self.saved[saved.slot] = saved
            case Keep(record=Forgotten(slot=slot_id)):
                self.saved.pop(slot_id)
            case Keep(record=SavedGroup() as group):
                self.saved_groups[group.group] = group
            case Keep(record=(Opened() | Closed() | NotRun()) as row):
                self.rows.append(row)
            case Spawn(run=run) if run.trigger is not Trigger.START or run.slot.job not in self.workers:
                self.starts.append((run.slot.job, run.due_at, now.wall))
            case Tick(run=run):
                self.starts.append((run.slot.job, run.due_at, now.wall))

    def tell(self, name: str, event: Event) -> None:
        slots = [slot for slot in self.board.slots if slot.job == name and not slot.lane]
        self.perform(self.board.tell(slots, event, self.now))

    def end_of(self, name: str, ended: Exit = GOOD) -> None:
        self.end(min(run_id for run_id, run in self.alive.items() if run.slot.job == name), ended)

    def end_tick_of(self, name: str) -> None:
        self.end_tick(next(run_id for run_id, run in self.ticking.items() if run.slot.job == name))

    def until(self, wall: datetime, *, lasting: timedelta | Lengths = forever, ended: Exit = GOOD) -> None:
        super().until(wall, lasting=(lambda _: lasting) if isinstance(lasting, timedelta) else lasting, ended=ended)

    def set_clock(self, by: timedelta) -> None:
        self.now = Now(self.now.wall + by, self.now.mono)
        self.perform(self.board.advance(self.now))

    def suspend(self, until: datetime) -> None:
        self.now = later(until - self.now.wall, self.now)
        self.perform(self.board.slept(self.now))
        self.perform(self.board.advance(self.now))

    def killed(self, *, until: datetime, jobs: tuple[Job, ...] | None = None, boot: str = "boot-1") -> "World":
        """Return the world of the next supervisor after a SIGKILL, on what was saved."""
        return World(
            jobs or self.jobs,
            now=Now(until, START.mono),
            saved=dict(self.saved),
            saved_groups=dict(self.saved_groups),
            groups=self.groups,
            root=self.root,
            obedient=self.obeys,
            max_running=self.max_running,
            first_run_id=max([999, *(row.run.run_id for row in self.rows)]) + 1,
            workers=self.workers,
            lost=self._lost(until),
            boot=boot,
        )

    def _lost(self, now: datetime) -> tuple[Closed, ...]:
        """Return the rows that the record of runs makes of those that have no end."""
        ended = {row.run.run_id for row in self.rows if not isinstance(row, Opened)}
        return tuple(
            Closed(
                run=row.run,
                started_at=row.started_at,
                ended_at=now,
                duration=now - row.started_at,
                outcome=Outcome.LOST,
            )
            for row in self.rows
            if isinstance(row, Opened) and row.run.run_id not in ended
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
