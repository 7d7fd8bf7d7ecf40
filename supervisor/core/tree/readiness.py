"""When a slot counts as ready, as done with, or as down, to those that wait for it."""

from supervisor.core.slot import Slot
from supervisor.core.states import (
    Backoff,
    Barred,
    Blocked,
    Disabled,
    Failed,
    Finished,
    Idle,
    New,
    Recording,
    Running,
    Stopped,
    Ticking,
    Wanted,
    is_at_rest,
)


def is_ready(slot: Slot) -> bool:
    """Tell whether a slot has come up; one with due times is ready when it waits for them."""
    if slot.is_periodic:
        return (
            not isinstance(slot.state, New | Barred | Stopped | Disabled | Finished | Failed) and slot.kind is not None
        )
    match slot.state:
        case Running() | Idle() | Ticking():
            return True
        case Recording(process=process) | Blocked(process=process):
            return process is not None  # a Worker whose tick is to come
    return False


def is_met(slot: Slot) -> bool:
    """Tell whether those ``after`` a slot may start: it is ready, has ended well, or is not meant to run.

    An instance that is being taken away is waited for no more.
    """
    if slot.wanted is Wanted.REMOVED:
        return True
    match slot.state:
        case Finished() | Disabled() | Stopped():
            return True
    return is_ready(slot)


def releases(slot: Slot, *, holds: bool) -> bool:
    """Tell whether the next member of the group may start; with ``holds`` not after one that is held by hand."""
    match slot.state:
        case Failed():
            return True
        case Stopped() if slot.wanted is not Wanted.REMOVED:
            return not holds
    return is_met(slot)


def is_down(slot: Slot) -> bool:
    """Tell whether nothing of a slot runs or comes by itself."""
    return is_at_rest(slot.state) and not slot.beside


def is_up(slot: Slot) -> bool:
    """Tell whether stopping a slot takes a process's end."""
    return not is_down(slot) and not isinstance(slot.state, Backoff)
