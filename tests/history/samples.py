"""Records as tests need them, and a history that writes them on a loop of its own."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

from hypothesis import strategies as st

from supervisor.core.exits import ErrorRecord, Usage
from supervisor.core.runs import (
    Attempt,
    Closed,
    NotRun,
    Opened,
    Outcome,
    Record,
    RunId,
    Saved,
    SavedGroup,
    Scaled,
    SlotId,
    Trigger,
)
from supervisor.history.thread import History, Recovered

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
FEED = SlotId("feed")


def attempt(run_id: int, *, slot: SlotId = FEED, due_at: datetime | None = NOON, number: int = 1) -> Attempt:
    trigger = Trigger.SCHEDULE if number == 1 else Trigger.RETRY
    return Attempt(run_id=run_id, slot=slot, trigger=trigger, due_at=due_at, attempt=number)


def opened(run_id: int, **of: Any) -> Opened:
    return Opened(run=attempt(run_id, **of), started_at=NOON)


def closed(run_id: int, outcome: Outcome = Outcome.OK, *, ended_at: datetime = NOON, **more: Any) -> Closed:
    of = {key: more.pop(key) for key in ("slot", "due_at", "number") if key in more}
    began_at = ended_at - timedelta(seconds=2)
    return Closed(
        run=attempt(run_id, **of),
        started_at=began_at,
        ended_at=ended_at,
        duration=timedelta(seconds=2),
        outcome=outcome,
        **more,
    )


BOOM = ErrorRecord(type="ValueError", message="boom", file="/app/jobs/feed.py", line=42, traceback="Traceback …")


class Writer:
    """A started history with a loop in a thread of its own; keeps what it was told."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.acknowledged: list[RunId] = []
        self.warnings: list[str] = []
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever)
        forever: dict[str, Any] = {"keep": timedelta(days=36_500), "keep_runs": 10**9}
        self.history = History(
            path,
            loop=self.loop,
            acknowledged=self.acknowledged.extend,
            warn=self.warnings.append,
            **(forever | options),
        )
        self.recovered: Recovered

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.recovered = self.history.start(NOON)
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.history.close()
        self._end_loop()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def keep(self, *records: Record) -> None:
        self.history.keep(records, [record.run.run_id for record in records if isinstance(record, Opened)])


def write(path: Path, *records: Record) -> Recovered:
    """Have records written by a whole life of a history."""
    with Writer(path) as writer:
        writer.keep(*records)
    return writer.recovered


# -- any record at all -------------------------------------------------------------------------------------------------

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # by timezones=
SPANS = st.timedeltas(timedelta(0), timedelta(days=3650))
WORDS = st.text(st.characters(exclude_categories=[]), max_size=20)
SLOTS = st.builds(
    SlotId, st.from_regex(r"[A-Za-z0-9][\w-]{0,20}", fullmatch=True), st.integers(1, 9), st.integers(0, 9)
)
ATTEMPTS = st.builds(
    Attempt,
    run_id=st.integers(1, 2**40),
    slot=SLOTS,
    trigger=st.sampled_from(Trigger),
    due_at=st.none() | INSTANTS,
    attempt=st.integers(1, 20),
)
ERRORS = st.builds(
    ErrorRecord,
    type=WORDS,
    message=WORDS,
    file=st.none() | WORDS.filter(bool),
    line=st.none() | st.integers(1, 10**6),
    traceback=WORDS,
)
USAGES = st.builds(Usage, cpu=SPANS, max_rss=st.integers(0, 2**50))
CLOSED = st.builds(
    Closed,
    run=ATTEMPTS,
    started_at=INSTANTS,
    ended_at=INSTANTS,
    duration=SPANS,
    outcome=st.sampled_from(Outcome),
    final=st.booleans(),
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    usage=st.none() | USAGES,
    reason=st.none() | WORDS,
    error=st.none() | ERRORS,
)
NOT_RUN = st.builds(
    NotRun,
    run=ATTEMPTS,
    at=INSTANTS,
    outcome=st.sampled_from([Outcome.SKIPPED, Outcome.MISSED]),
    reason=WORDS,
)
COUNTS = st.integers(0, 2**40)
SAVED = st.builds(
    Saved,
    slot=SLOTS,
    fingerprint=st.none() | WORDS,
    anchor=st.none() | INSTANTS,
    cursor=st.none() | INSTANTS,
    waiting=st.lists(INSTANTS, max_size=3).map(tuple),
    ended_at=st.none() | INSTANTS,
    held=st.booleans(),
    paused=st.booleans(),
    runs=COUNTS,
    failures=COUNTS,
    restarts=COUNTS,
    restarted_at=st.lists(INSTANTS, max_size=3).map(tuple),
    streak=COUNTS,
    gave_up=st.none() | WORDS,
    scaled=st.none() | st.builds(Scaled, of=COUNTS, to=COUNTS),
    failed_in_a_row=COUNTS,
    succeeded_at=st.none() | INSTANTS,
    boot=st.none() | WORDS,
    last=st.none() | CLOSED,
)
SAVED_GROUPS = st.builds(
    SavedGroup,
    group=WORDS,
    restarts=COUNTS,
    restarted_at=st.lists(INSTANTS, max_size=3).map(tuple),
    streak=COUNTS,
    gave_up=st.none() | WORDS,
)
