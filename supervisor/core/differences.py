"""What differs between a job that runs and the one that an edited manifest tells, and when each difference shows."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from supervisor.core.job import Job
from supervisor.core.kind import Kind
from supervisor.core.manifest.keys import PROCESS, WHEN
from supervisor.core.manifest.settings import Manifest, Settings
from supervisor.core.manifest.spelling import shown, spelled, spelled_groups, spelled_notifiers, spelled_settings
from supervisor.values import dataclass, replace


class Effect(StrEnum):
    """When an edit shows; of several the strongest, which is the last here, counts."""

    NONE = "none"
    LIVE = "live"
    NEXT_RUN = "next run"
    CODE = "reload --code"
    """Of ``[supervisor]``: when a new fork server starts."""
    NEXT_START = "next start of the supervisor"
    RESTART = "restart"
    START = "start"
    STOP = "stop"


_ORDER = {effect: place for place, effect in enumerate(Effect)}
_PROCESS = frozenset({"run", "args", "kwargs", "command", "shell", "log", *PROCESS})
"""Keys that a process has got at its start."""
_RUN = frozenset(
    {
        "stop_signal",
        "stop_timeout",
        "success_exit",
        "settle",
        "timeout",
        "deadline",
        "retries",
        "start_timeout",
        "ready",
        "health",
        "heartbeat",
        "max_age",
    }
)
"""Keys that a run keeps from its start to its end, and that are no reason to end it."""
_NEXT_START = frozenset(
    {"state_dir", "log_dir", "socket", "socket_group", "log.level", "log.file", "log.max_size", "log.keep"}
)
_CODE = frozenset({"preload", "pythonpath"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One key, as it is and as it shall be; None is not set. Values of variables are hidden."""

    key: str
    before: Any
    after: Any
    effect: Effect


def keeps_process(job: Job, kind: Kind | None) -> bool:
    """Tell whether a job has a process that lives on, and not one for each run."""
    return job.schedule is None or kind is Kind.WORKER


def effect(old: Job, new: Job, kind: Kind | None) -> Effect:
    """Return what applying an edit takes; ``kind`` is what the old target turned out to be."""
    if replace(old, where=new.where) == new:
        return Effect.NONE
    if old.enabled != new.enabled:
        return Effect.START if new.enabled else Effect.STOP
    return max((each.effect for each in differences(old, new, kind)), key=_ORDER.__getitem__, default=Effect.LIVE)


def differences(old: Job, new: Job, kind: Kind | None) -> tuple[Difference, ...]:
    """Return every key that differs, in the order of the keys of a job."""
    return tuple(
        Difference(key=key, before=shown(key, before), after=shown(key, after), effect=_effect(key, old, new, kind))
        for key, before, after in _unequal(spelled(old), spelled(new))
    )


def settings_differences(old: Manifest, new: Manifest) -> tuple[Difference, ...]:
    """Return every key of ``[supervisor]`` that differs, and of groups and notifiers; of these the whole key."""
    unequal = (
        *_unequal(spelled_settings(old.settings), spelled_settings(new.settings)),
        *_unequal(spelled_groups(old.groups), spelled_groups(new.groups)),
        *_unequal(spelled_notifiers(old.notifiers), spelled_notifiers(new.notifiers)),
    )
    return tuple(
        Difference(key=key, before=shown(key, before), after=shown(key, after), effect=_settings_effect(key))
        for key, before, after in unequal
    )


def emptied(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """Return a sentence for each file with nothing in it where jobs stood: so an editor leaves it between two writes.

    An edit that leaves no job is believed where the file says anything at all.
    """
    found: list[str] = []
    for file in new.blank:
        names = [job.name for job in old.jobs if job.where.rpartition(":")[0] == file]
        if names:
            few = f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
            found.append(
                f"{file}:1: it is empty, and jobs were in it ({few}); was it saved whole? "
                "A file without jobs says so by an empty [jobs]"
            )
    return tuple(found)


def in_force(old: Settings, new: Settings, *, code: bool) -> Settings:
    """Return the settings that count once ``new`` is applied, with fresh ``code`` or without: some wait for more."""
    waiting = _NEXT_START if code else _NEXT_START | _CODE
    return replace(new, **{key.replace(".", "_"): getattr(old, key.replace(".", "_")) for key in waiting})


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = [*new, *(key for key in old if key not in new)]
    return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _effect(key: str, old: Job, new: Job, kind: Kind | None) -> Effect:
    name, lives_on = key.partition(".")[0], keeps_process(old, kind)
    at_start = Effect.RESTART if lives_on else Effect.NEXT_RUN
    if name == "enabled":
        return Effect.START if new.enabled else Effect.STOP
    if not old.enabled:
        return Effect.NEXT_RUN
    if name in _PROCESS or (name in WHEN and (old.schedule is None) != (new.schedule is None)):
        return at_start
    if name in _RUN or (name == "backoff" and not lives_on):
        return Effect.NEXT_RUN
    return Effect.LIVE


def _settings_effect(key: str) -> Effect:
    if key in _CODE:
        return Effect.CODE
    return Effect.NEXT_START if key in _NEXT_START else Effect.LIVE
