"""A job's settings as jobs.toml spells them, key by key, every default filled in: what people compare and are shown."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

from supervisor.core.checks import HealthCheck
from supervisor.core.durations import spell_duration, spell_size
from supervisor.core.exits import SuccessExit, signal_name
from supervisor.core.job import UNLIMITED, Command, Job, Limit, LogFiles, LogMode, Process, Run, Target
from supervisor.core.manifest.keys import JOB, SUPERVISOR
from supervisor.core.manifest.settings import Settings
from supervisor.core.notifier import Notifier, On, Program, Webhook
from supervisor.core.schedule import At, Cron, Delay, Every, Schedule
from supervisor.core.secrets import is_telling
from supervisor.core.tree.group import Group
from supervisor.values import fields, is_dataclass

HIDDEN = "(hidden)"
_NONE_IS_A_WORD = frozenset({"backoff", "stop_timeout", "start_timeout"})
_SIZES = frozenset({"max_size", "log_max_size", "memory", "core"})


def spelled(job: Job) -> dict[str, Any]:
    """Return a job's settings by their keys (``backoff.initial``), as JSON can carry them; None is not set.

    Also those that mean nothing to this job, as those of a schedule to a long-lived one. Values of variables stand in
    it as they are: ``shown`` hides them.
    """
    values = {
        "description": job.description,
        "enabled": job.enabled,
        "instances": job.instances,
        "group": job.group,
        "after": list(job.after),
        **_target(job.target),
        **_schedule(job.schedule),
        **_all_of(job.timing),
        **_all_of(job.supervision),
        **_process(job.process),
        **dict(_log(job.log)),
        "notify": list(job.notify),
    }
    return _in_order(values, tuple(JOB))


def spelled_settings(settings: Settings) -> dict[str, Any]:
    """Return the keys of ``[supervisor]`` in the same way."""
    values: dict[str, Any] = {}
    for name, value in _all_of(settings).items():
        table, _, key = name.partition("_")
        values[f"{table}.{key}" if table in {"log", "history"} and name != "log_dir" else name] = value
    return _in_order(values, tuple(SUPERVISOR))


def spelled_notifiers(notifiers: Sequence[Notifier]) -> dict[str, Any]:
    """Return the keys of all ``[notify.NAME]`` tables, as ``notify.NAME.KEY``; addresses whole, for comparison."""
    values: dict[str, Any] = {}
    for notifier in notifiers:
        to = notifier.to
        way = {"command": list(to.argv)} if isinstance(to, Program) else {"webhook": to.url, "ping": to.ping}
        told = {
            **way,
            "on": [on.value for on in On if on in notifier.on],
            "failures": notifier.failures,
            "timeout": spell_duration(notifier.timeout),
            "retries": notifier.retries,
        }
        values |= {f"notify.{notifier.name}.{key}": value for key, value in told.items()}
    return values


_NO_KEYS = frozenset({"name", "where", "origins"})
"""Of a group: what it is called, and where it is written."""


def spelled_groups(groups: Sequence[Group]) -> dict[str, Any]:
    """Return the keys of all ``[groups.NAME]`` tables, as ``groups.NAME.KEY``."""
    values: dict[str, Any] = {}
    for group in groups:
        told = {"group" if key == "parent" else key: value for key, value in _all_of(group).items()}
        values |= {f"groups.{group.name}.{key}": told[key] for key in told if key.partition(".")[0] not in _NO_KEYS}
    return values


def shown(key: str, value: Any) -> Any:
    """Return what people may see of a setting: variables, addresses and arguments with telling names hold secrets."""
    if value is None:
        return None
    if key.startswith("notify.") and key.endswith(".webhook"):
        return Webhook(url=value).shown
    if key.startswith("env."):
        return HIDDEN
    if key.startswith("kwargs."):
        return _veiled(key.removeprefix("kwargs."), value)
    return value


def _veiled(name: str, value: Any) -> Any:
    """Return an argument without what is told to be secret by its name, or by one within it."""
    if is_telling(name):
        return HIDDEN
    match value:
        case dict():
            return {each: _veiled(each, within) for each, within in value.items()}
        case list() | tuple():
            return [_veiled("", each) for each in value]
    return value


def _in_order(values: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    places = {key: place for place, key in enumerate(known)}
    return dict(sorted(values.items(), key=lambda pair: places.get(pair[0].partition(".")[0], len(places))))


def _target(target: Target) -> dict[str, Any]:
    match target:
        case Run(target=name, args=args, kwargs=kwargs):
            return {"run": name, "args": list(args), **{f"kwargs.{key}": value for key, value in kwargs.items()}}
        case Command(argv=argv, shell=shell):
            return {"command": argv[0] if shell else list(argv), "shell": shell}


def _schedule(schedule: Schedule | None) -> dict[str, Any]:
    match schedule:
        case Every(interval=interval, offset=offset, align_clock=align_clock):
            return {
                "every": spell_duration(interval),
                "align": "clock" if align_clock else None,
                "offset": spell_duration(offset) if offset else None,
            }
        case Delay(delay=delay):
            return {"delay": spell_duration(delay)}
        case Cron(expression=expression):
            return {"cron": expression}
        case At(at=at):
            return {"at": at.isoformat().replace("+00:00", "Z")}
        case None:
            return {}
    return {"cron": "@reboot"}


def _process(process: Process) -> dict[str, Any]:
    values = _all_of(process)
    values["group_id"] = values.pop("group")
    values["umask"] = None if process.umask is None else f"{process.umask:03o}"
    values["stdin"] = "null" if process.stdin is None else f"file:{process.stdin}"
    return values


def _log(log: LogFiles | LogMode) -> Iterator[tuple[str, Any]]:
    if isinstance(log, LogMode):
        yield "log", log.value
        return
    for key, value in _all_of(log).items():
        if key == "merge_stderr":
            yield "log.stderr", "merge" if value else "separate"
        else:
            yield f"log.{key}", value


def _all_of(part: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by their keys; they are called alike."""
    values: dict[str, Any] = {}
    for each in fields(part):
        values |= _spell(each.name, getattr(part, each.name))
    return values


def _spell(key: str, value: Any) -> dict[str, Any]:
    match value:
        case Limit():
            return _all_of(value)
        case SuccessExit(codes=codes, signals=signals):
            return {key: [*sorted(codes), *map(signal_name, sorted(signals))]}
        case Mapping():
            return {f"{key}.{name}": each for name, each in value.items()}
        case HealthCheck():
            rest = {name: each for name, each in _all_of(value).items() if not name.startswith("probe.")}
            return {f"{key}.{name}": each for name, each in (_all_of(value.probe) | rest).items()}
        case _ if is_dataclass(value):
            return {f"{key}.{name}": each for name, each in _all_of(value).items()}
    return {key: _plain(key, value)}


def _plain(key: str, value: Any) -> Any:
    match value:
        case None if key in _NONE_IS_A_WORD:
            return "none"
        case timedelta():
            return spell_duration(value)
        case StrEnum():
            return value.value
        case int() if key == "stop_signal":
            return signal_name(value).removeprefix("SIG")
        case bool():
            return value
        case int() if key == "cpu":
            return f"{value}%"
        case int() if key in _SIZES:
            return "unlimited" if value == UNLIMITED else spell_size(value)
        case tuple() | frozenset():
            return [_plain("", each) for each in (value if isinstance(value, tuple) else sorted(value))]
    return value
