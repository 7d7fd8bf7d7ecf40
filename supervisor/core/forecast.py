"""What the schedules of a manifest will do in a time to come, by the same core that will do it, on a virtual clock."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from supervisor.core.actions import Action, Keep
from supervisor.core.board import Board, Rules
from supervisor.core.events import Cause
from supervisor.core.instants import ZERO, Now
from supervisor.core.job import Job, Overlap
from supervisor.core.runs import Attempt, Closed, NotRun, Opened, Outcome, RunId, Saved, SlotId, Trigger
from supervisor.core.schedule import daylight_effects
from supervisor.core.simulation import Simulation
from supervisor.values import dataclass, field, replace

ASSUMED = timedelta(seconds=1)
"""The length of a run of a job that has had no good one yet."""
MOST_ROWS = 250_000
"""Where more is due, the forecast ends before its time: that is a minute of reckoning, and more than anybody reads."""


class Wait(StrEnum):
    """Why a run starts later than it is due."""

    JITTER = "jitter"
    CATCH_UP = "catch-up"
    RETRY = "retry"
    OVERLAP = "overlap"
    """The run before it was not over yet."""
    MAX_RUNNING = "max_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """A due time and what becomes of it: an attempt to run, or a row without one."""

    run: Attempt
    job: Job
    due_at: datetime
    started_at: datetime | None = None
    """None: not run."""
    ended_at: datetime | None = None
    """None: not run, or still running when the forecast ends."""
    outcome: Outcome | None = None
    """None: still running when the forecast ends."""
    reason: str | None = None
    wait: Wait | None = None

    @property
    def label(self) -> str:
        """What people call the instance."""
        return self.job.label(self.run.slot.instance)

    @property
    def at(self) -> datetime:
        """When it is to be seen: at its start, or when it was due."""
        return self.started_at or self.due_at

    @property
    def overlapped(self) -> bool:
        """True where another run of the job was in the way, beside it, or stopped for it."""
        skipped = self.outcome is Outcome.SKIPPED or self.reason == Cause.REPLACED.value
        return skipped or self.wait is Wait.OVERLAP or self.run.slot.lane > 0


@dataclass(frozen=True, slots=True)
class Peak:
    """The most runs at once, when that is so for the first time, and which they are."""

    runs: int
    at: datetime | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is to come between two instants."""

    since: datetime
    until: datetime
    rows: tuple[Foreseen, ...]
    """In order of time."""
    jobs: tuple[Job, ...]
    """Those that have a schedule and are enabled."""
    complete: bool = True
    """False where it ends early, after ``MOST_ROWS``."""

    @property
    def runs(self) -> list[Foreseen]:
        """What starts."""
        return [row for row in self.rows if row.started_at is not None]

    def peak(self) -> Peak:
        """Return when the most runs are active at once."""
        edges = [(row.at, 1, row) for row in self.runs]
        edges += [(row.ended_at, 0, row) for row in self.runs if row.ended_at is not None]
        active: dict[RunId, str] = {}
        peak = Peak(0)
        for at, starts, row in sorted(edges, key=lambda edge: edge[:2]):
            if not starts:
                active.pop(row.run.run_id, None)
                continue
            active[row.run.run_id] = row.label
            if len(active) > peak.runs:
                peak = Peak(len(active), at, tuple(active.values()))
        return peak

    def days(self, zone: tzinfo) -> list[date]:
        """Return the dates of a zone that lie wholly in the forecast."""
        day = self.since.astimezone(zone).date()
        found = []
        while _midnight(day + _DAY, zone) <= self.until:
            if _midnight(day, zone) >= self.since:
                found.append(day)
            day += _DAY
        return found

    def quiet_days(self, zone: tzinfo, runs: Iterable[Foreseen]) -> list[date]:
        """Return the dates, of those that lie wholly in the forecast, on which none of these runs starts."""
        busy = {row.at.astimezone(zone).date() for row in runs}
        return [day for day in self.days(zone) if day not in busy]

    def daylight(self) -> list[tuple[Job, str]]:
        """Return what the setting of clocks does to due times, job by job."""
        return [
            (job, said)
            for job in self.jobs
            if job.schedule is not None
            for said in daylight_effects(job.schedule, self.since, self.until)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an earlier supervisor and the record of runs tell."""

    saved: Mapping[SlotId, Saved] = field(default_factory=dict)
    lengths: Mapping[str, timedelta] = field(default_factory=dict)
    """How long a run of a job takes, by its name."""
    seed: str = ""
    boot: str = ""

    def as_of(self, at: datetime) -> "Known":
        """Return it as though all had gone well up to another instant: grids stay, nothing is missed."""
        return replace(self, saved={slot: _moved(saved, at, self.boot) for slot, saved in self.saved.items()})


def _moved(saved: Saved, at: datetime, boot: str) -> Saved:
    anchor = min(saved.anchor, at) if saved.anchor is not None else None
    return replace(saved, anchor=anchor, cursor=at, waiting=(), ended_at=at, boot=boot)


def foresee(
    jobs: Iterable[Job], known: Known, rules: Rules, since: datetime, until: datetime, *, most: int = MOST_ROWS
) -> Forecast:
    """Return what the schedules of some jobs will do between two instants.

    All that a job comes ``after`` counts as ready, and no group as stopped: what does not follow the clock, nobody
    foresees.
    """
    scheduled = tuple(replace(job, group=None, after=()) for job in jobs if job.schedule is not None and job.enabled)
    log = _Log({job.name: job for job in scheduled})
    board = Board(rules, seed=known.seed, boot=known.boot, next_run_id=1)
    simulation = Simulation(board=board, now=Now(since, ZERO), watch=log.take)
    simulation.begin(scheduled, known.saved)

    def length(run: Attempt) -> timedelta:
        return known.lengths.get(run.slot.job, ASSUMED)

    complete = True
    while complete and simulation.step(until, lasting=length):
        complete = len(log.rows) < most
    rows = tuple(sorted(log.rows.values(), key=lambda row: row.at))
    return Forecast(since=since, until=simulation.now.wall, rows=rows, jobs=scheduled, complete=complete)


@dataclass(slots=True)
class _Log:
    """Rows as the board orders them to be kept, by run."""

    jobs: Mapping[str, Job]
    rows: dict[RunId, Foreseen] = field(default_factory=dict)
    _ended: dict[SlotId, datetime] = field(default_factory=dict)
    """The end of each slot's last run."""

    def take(self, order: Action, _: Now) -> None:
        match order:
            case Keep(record=Opened(run=run, started_at=started_at)) if run.due_at is not None:
                row = Foreseen(run=run, job=self.jobs[run.slot.job], due_at=run.due_at, started_at=started_at)
                self.rows[run.run_id] = replace(row, wait=self._wait(row))
            case Keep(record=Closed(run=run, ended_at=ended_at, outcome=outcome, reason=reason)):
                row = self.rows[run.run_id]
                self.rows[run.run_id] = replace(row, ended_at=ended_at, outcome=outcome, reason=reason)
                self._ended[run.slot] = ended_at
            case Keep(record=NotRun(run=run, outcome=outcome, reason=reason)) if run.due_at is not None:
                job = self.jobs[run.slot.job]
                row = Foreseen(run=run, job=job, due_at=run.due_at, outcome=outcome, reason=reason)
                self.rows[run.run_id] = row

    def _wait(self, row: Foreseen) -> Wait | None:
        assert row.started_at is not None
        late = row.started_at - row.due_at
        if row.run.trigger is Trigger.CATCH_UP:
            return Wait.CATCH_UP
        if row.run.trigger is Trigger.RETRY:
            return Wait.RETRY
        if not late:
            return None
        if self._ended.get(row.run.slot) == row.started_at and row.job.timing.overlap is Overlap.QUEUE:
            return Wait.OVERLAP
        return Wait.JITTER if late <= row.job.timing.jitter else Wait.MAX_RUNNING


_DAY = timedelta(days=1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)
