"""Every state × every event, for each kind of job, against one approved text.

After a wanted change: ``python tests/core/test_lifecycle_table.py > tests/core/lifecycle_table.txt``, read the diff.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from world import MINUTE, NOON, START, long_lived, periodic, worker

from supervisor.core.actions import Keep
from supervisor.core.events import (
    Admitted,
    Allowed,
    Beat,
    Begun,
    Cause,
    Checked,
    Committed,
    Due,
    Edited,
    Elapsed,
    Event,
    Exited,
    HoldRequested,
    MemoryExceeded,
    Passed,
    PauseRequested,
    Ready,
    Refused,
    Released,
    Renewed,
    RestartRequested,
    ResumeRequested,
    Serving,
    Spawned,
    SpawnFailed,
    StartRequested,
    StopRequested,
    Superseded,
    TargetFound,
    TargetMissing,
    TickEnded,
)
from supervisor.core.exits import Code, NotStarted
from supervisor.core.job import Command, Job
from supervisor.core.kind import Kind
from supervisor.core.lifecycle import step
from supervisor.core.runs import Attempt, SlotId, Trigger
from supervisor.core.slot import Context, Slot
from supervisor.core.states import (
    STATES,
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    New,
    Process,
    Recording,
    Running,
    Starting,
    State,
    Stopped,
    Stopping,
    Ticking,
    Waiting,
    Wanted,
)
from supervisor.core.timetable import anew
from supervisor.values import replace

APPROVED = Path(__file__).with_name("lifecycle_table.txt")
PAST = START.mono - timedelta(seconds=1)
KINDS = {
    "long-lived": (long_lived("job"), Kind.COMMAND),
    "periodic": (periodic("job", timeout=MINUTE), Kind.COMMAND),
    "worker": (worker("job"), Kind.WORKER),
}


def states(job: Job, kind: Kind) -> Iterator[State]:
    due = job.schedule is not None
    run = Attempt(
        run_id=1,
        slot=SlotId(job.name),
        trigger=Trigger.SCHEDULE if due else Trigger.START,
        due_at=NOON if due and kind is not Kind.WORKER else None,
    )
    tick = replace(run, run_id=2, due_at=NOON)
    process = Process(run=run, job=job, began=START, pid=7)
    held = process if kind is Kind.WORKER else None
    yield New()
    yield New(gave_up="gave up")
    yield Disabled(START)
    yield Stopped(START)
    yield Barred(since=START, trigger=Trigger.RESTART)
    yield Barred(since=START, trigger=Trigger.RESTART, last="exit 1")
    yield Waiting(START)
    yield Blocked(since=START, run=tick if held else run, until=PAST, process=held)
    yield Recording(since=START, run=tick if held else run, until=PAST, process=held)
    yield Starting(START, process, until=PAST)
    yield Running(since=START, process=process, settles_at=None if due else PAST, ends_by=PAST if due else None)
    yield Idle(START, process)
    yield Ticking(since=START, process=process, tick=tick, ends_by=PAST)
    yield Stopping(since=START, process=process, cause=Cause.STOP, kill_at=PAST)
    if due and kind is not Kind.WORKER:
        yield Backoff(since=START, until=PAST, last="exit 1", retry=replace(run, run_id=3, attempt=2), failed=run)
    else:
        yield Backoff(since=START, until=PAST, last="exit 1")
    yield Failed(START, "gave up")
    yield Finished(START)


def events(job: Job, kind: Kind) -> Iterator[Event]:
    yield Begun()
    yield TargetFound(kind)
    yield TargetMissing("missing")
    yield Due(NOON)
    yield Passed(NOON, "down")
    yield Superseded()
    yield Admitted()
    yield Committed(2 if kind is Kind.WORKER else 1)
    yield Spawned(1, 7)
    yield SpawnFailed(1, NotStarted("fork", 11, "no"))
    yield Serving(1)
    yield Ready(1)
    yield Beat(1)
    yield Checked(1, "no answer")
    yield TickEnded(run_id=1, tick_id=2)
    yield Exited(run_id=1, ended=Code(1))
    yield MemoryExceeded(1)
    yield Elapsed()
    yield Released()
    yield Allowed(MINUTE)
    yield Refused("gave up")
    yield Renewed()
    yield StartRequested()
    yield StopRequested()
    yield HoldRequested()
    yield StopRequested(Cause.GROUP)
    yield RestartRequested()
    yield PauseRequested()
    yield ResumeRequested()
    yield Edited(replace(job, target=Command(argv=("other",))))


def said(event: Event) -> str:
    return "by its group" if event == StopRequested(Cause.GROUP) else type(event).__name__


def about(state: State) -> str:
    match state:
        case Barred(last=str()):
            return " (fell)"
        case New(gave_up=str()):
            return " (gave up)"
    return ""


def printed() -> Iterator[str]:
    for name, (job, kind) in KINDS.items():
        table = anew(job, START, "seed", first_sight=False).table if job.schedule else None
        yield f"# {name}"
        for state in states(job, kind):
            yield f"\n{type(state).__name__}{about(state)}"
            wanted = Wanted.HELD if isinstance(state, Stopped | Stopping) else Wanted.UP
            slot = Slot(id=SlotId(job.name), job=job, kind=kind, state=state, wanted=wanted, table=table)
            for event in events(job, kind):
                after, orders = step(slot, event, START, Context(seed="seed"))
                names = [type(o.record).__name__ if isinstance(o, Keep) else type(o).__name__ for o in orders]
                moved = type(after.state).__name__ if after.state != state else "-" if after is slot else "="
                yield f"  {said(event):<17} {moved:<10} {' '.join(names)}".rstrip()
        yield ""


def test_every_state_is_in_the_table() -> None:
    for job, kind in KINDS.values():
        assert {type(state) for state in states(job, kind)} == set(STATES)


def test_every_event_is_in_the_table() -> None:
    assert {type(event) for event in events(*KINDS["periodic"])} == set(Event.__args__)


def test_the_table_is_the_approved_one() -> None:
    found = "\n".join(printed()) + "\n"
    if found != APPROVED.read_text():
        pytest.fail("the lifecycle has changed; read the diff, then approve it (see the docstring of this file)")


if __name__ == "__main__":
    print("\n".join(printed()))  # noqa: T201
