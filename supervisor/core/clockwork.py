"""What the time brings to slots: due times, the ends of waits, and clocks that are set."""

from datetime import datetime, timedelta

from supervisor.core.durations import format_duration
from supervisor.core.effects import Effects
from supervisor.core.events import Elapsed, Passed
from supervisor.core.instants import ZERO, Now
from supervisor.core.runs import SlotId
from supervisor.core.slot import Slot, to_save
from supervisor.core.states import deadline_of
from supervisor.core.switchboard import Switchboard
from supervisor.core.timetable import Gap, Unfolded, advance, gap, make_up, stepped
from supervisor.values import replace

STEP = timedelta(milliseconds=500)
"""A smaller move of the wall clock against the monotonic one is drift or a slow reading, not a step."""


def call(board: Switchboard, slot: Slot, now: Now, effects: Effects) -> None:
    """Give a slot whose deadline has come what it waits for, one thing at a time."""
    table, elapses_at = slot.table, deadline_of(slot.state)
    made_up_at = slot.made_up_at
    if made_up_at is not None and made_up_at <= now.mono and table is not None:
        due, table = make_up(table, now.mono)
        taken = replace(slot, table=table)
        board.put(taken)
        effects.actions += to_save(slot, taken)
        board.apply(slot.id, due, now, effects)
    elif elapses_at is not None and elapses_at <= now.mono:
        board.apply(slot.id, Elapsed(), now, effects)
    elif table is not None:
        unfolded = advance(slot.job, table, now, board.context.seed)
        unfold(board, slot.id, unfolded, Gap.HELD_UP, now, effects)


def unfold(board: Switchboard, slot_id: SlotId, unfolded: Unfolded, why: Gap, now: Now, effects: Effects) -> None:
    """Let a timetable move on: give its slot what has passed, what is due, and what can be made up at once."""
    slot = board.register.slots[slot_id]
    if unfolded.table is not slot.table:
        moved = replace(slot, table=unfolded.table)
        board.put(moved)
        effects.actions += to_save(slot, moved)
    for due_at in unfolded.passed:
        board.apply(slot_id, Passed(due_at, why.value), now, effects)
    if unfolded.due is not None:
        board.apply(slot_id, unfolded.due, now, effects)
    made_up_at = board.register.slots[slot_id].made_up_at
    if made_up_at is not None and made_up_at <= now.mono:
        call(board, board.register.slots[slot_id], now, effects)


def set_clock(board: Switchboard, by: timedelta, now: Now, effects: Effects) -> None:
    """Let every timetable know that the wall clock was set ``by`` forward (or back, where negative)."""
    effects.notes.append(f"the wall clock was set {'back' if by < ZERO else 'forward'} by {format_duration(abs(by))}")
    for slot in list(board.register.slots.values()):
        if slot.table is not None:
            unfolded = stepped(slot.job, slot.table, by, now, board.context.seed)
            unfold(board, slot.id, unfolded, Gap.STEP, now, effects)


def wake(board: Switchboard, now: Now, effects: Effects) -> None:
    """Let every timetable know that the machine was suspended until now."""
    for slot in list(board.register.slots.values()):
        if slot.table is not None and slot.table.next is not None and slot.table.next.at <= now.mono:
            unfolded = gap(slot.job, slot.table, now, board.context.seed)
            unfold(board, slot.id, unfolded, Gap.ASLEEP, now, effects)


def offset_of(now: Now) -> datetime:
    """Return the wall instant of monotonic zero: it moves only when the wall clock is set."""
    return now.wall - now.mono
