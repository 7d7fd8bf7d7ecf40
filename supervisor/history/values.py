"""Values of the core as the database keeps them, exact both ways."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from supervisor.core.exits import ErrorRecord, Usage
from supervisor.core.runs import Attempt, Closed, Outcome, Saved, SavedGroup, Scaled, SlotId, Trigger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(span: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return span // _MICROSECOND


def to_instant_micros(at: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970 UTC; ``timestamp()`` would round."""
    return to_micros(at - _EPOCH)


def from_micros(micros: int) -> timedelta:
    """Return the duration of so many microseconds."""
    return timedelta(microseconds=micros)


def from_instant_micros(micros: int) -> datetime:
    """Return the UTC instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def to_text(text: str) -> str:
    r"""Return a text that UTF-8 can hold; a job's bytes that are no text come as lone surrogates, shown ``\udc80``."""
    return text.encode(errors="backslashreplace").decode()


def saved_to_json(saved: Saved) -> str:
    """Return the saved state of a slot as JSON, without the slot's own name."""
    return json.dumps(
        {
            "fingerprint": saved.fingerprint,
            "anchor": _at(saved.anchor),
            "cursor": _at(saved.cursor),
            "waiting": [_at(due_at) for due_at in saved.waiting],
            "ended_at": _at(saved.ended_at),
            "held": saved.held,
            "paused": saved.paused,
            "runs": saved.runs,
            "failures": saved.failures,
            "restarts": saved.restarts,
            "restarted_at": [_at(at) for at in saved.restarted_at],
            "streak": saved.streak,
            "gave_up": saved.gave_up,
            "failed_in_a_row": saved.failed_in_a_row,
            "succeeded_at": _at(saved.succeeded_at),
            "boot": saved.boot,
            "last": _last_to_json(saved.last),
            "scaled": [saved.scaled.of, saved.scaled.to] if saved.scaled else None,
        },
        separators=(",", ":"),
    )


def saved_from_json(slot: SlotId, text: str) -> Saved:
    """Return what ``saved_to_json`` was given.

    Raises:
        ValueError: the text is not what that function writes.
    """
    try:
        found = json.loads(text)
        return Saved(
            slot=slot,
            fingerprint=found["fingerprint"],
            anchor=_instant(found["anchor"]),
            cursor=_instant(found["cursor"]),
            waiting=tuple(from_instant_micros(micros) for micros in found.get("waiting", ())),
            ended_at=_instant(found["ended_at"]),
            held=found["held"],
            paused=found["paused"],
            runs=found["runs"],
            failures=found["failures"],
            restarts=found["restarts"],
            restarted_at=tuple(from_instant_micros(micros) for micros in found.get("restarted_at", ())),
            streak=found.get("streak", 0),
            gave_up=found.get("gave_up"),
            failed_in_a_row=found["failed_in_a_row"],
            succeeded_at=_instant(found["succeeded_at"]),
            boot=found["boot"],
            last=_last_from_json(found["last"]),
            scaled=_scaled(found.get("scaled")),
        )
    except (LookupError, TypeError, OverflowError) as error:
        raise ValueError(f"not a saved slot: {error!r}") from error


def _scaled(found: list[int] | None) -> Scaled | None:
    return None if found is None else Scaled(of=found[0], to=found[1])


def group_to_json(saved: SavedGroup) -> str:
    """Return the saved state of a group as JSON, without its name."""
    return json.dumps(
        {
            "restarts": saved.restarts,
            "restarted_at": [_at(at) for at in saved.restarted_at],
            "streak": saved.streak,
            "gave_up": saved.gave_up,
        },
        separators=(",", ":"),
    )


def group_from_json(name: str, text: str) -> SavedGroup:
    """Return what ``group_to_json`` was given.

    Raises:
        ValueError: the text is not what that function writes.
    """
    try:
        found = json.loads(text)
        return SavedGroup(
            group=name,
            restarts=found["restarts"],
            restarted_at=tuple(from_instant_micros(micros) for micros in found["restarted_at"]),
            streak=found["streak"],
            gave_up=found["gave_up"],
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"not a saved group: {error!r}") from error


def _at(at: datetime | None) -> int | None:
    return None if at is None else to_instant_micros(at)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_instant_micros(micros)


def _last_to_json(row: Closed | None) -> dict[str, Any] | None:
    if row is None:
        return None
    usage, error = row.usage, row.error
    return {
        "run": _run_to_json(row.run),
        "started_at": _at(row.started_at),
        "ended_at": _at(row.ended_at),
        "duration": to_micros(row.duration),
        "outcome": row.outcome.value,
        "final": row.final,
        "exit_code": row.exit_code,
        "signal": row.signal,
        "usage": [to_micros(usage.cpu), usage.max_rss] if usage else None,
        "reason": row.reason,
        "error": [error.type, error.message, error.file, error.line, error.traceback] if error else None,
    }


def _last_from_json(found: dict[str, Any] | None) -> Closed | None:
    if found is None or "at" in found:  # a due time that was not run, which an earlier version kept in this place
        return None
    usage, error = found["usage"], found["error"]
    return Closed(
        run=_run_from_json(found["run"]),
        started_at=from_instant_micros(found["started_at"]),
        ended_at=from_instant_micros(found["ended_at"]),
        duration=from_micros(found["duration"]),
        outcome=Outcome(found["outcome"]),
        final=found["final"],
        exit_code=found["exit_code"],
        signal=found["signal"],
        usage=Usage(cpu=from_micros(usage[0]), max_rss=usage[1]) if usage else None,
        reason=found["reason"],
        error=_error_from_json(error) if error else None,
    )


def _error_from_json(found: list[Any]) -> ErrorRecord:
    kind, message, file, line, traceback = found
    return ErrorRecord(type=kind, message=message, file=file, line=line, traceback=traceback)


def _run_to_json(run: Attempt) -> list[Any]:
    slot = run.slot
    return [run.run_id, slot.job, slot.instance, slot.lane, run.trigger.value, _at(run.due_at), run.attempt]


def _run_from_json(found: list[Any]) -> Attempt:
    run_id, job, instance, lane, trigger, due_at, attempt = found
    return Attempt(
        run_id=run_id,
        slot=SlotId(job, instance, lane),
        trigger=Trigger(trigger),
        due_at=_instant(due_at),
        attempt=attempt,
    )
