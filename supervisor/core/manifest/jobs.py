"""Making one ``Job`` of a ``[jobs.NAME]`` table and the defaults."""

from collections.abc import Mapping, Sequence
from typing import Any

from supervisor.core.checks import LogMatch
from supervisor.core.job import (
    KIND_KEYS,
    Backoff,
    Command,
    Job,
    LogFiles,
    LogMode,
    Missed,
    Overlap,
    Run,
    Supervision,
    Timing,
)
from supervisor.core.manifest.checks import make_health, make_readiness
from supervisor.core.manifest.groups import unknown_group
from supervisor.core.manifest.keys import JOB, TIMING, WHAT, WHEN
from supervisor.core.manifest.limits import make_backoff, make_limit
from supervisor.core.manifest.merged import Merged, merge
from supervisor.core.manifest.notifiers import check_told
from supervisor.core.manifest.origins import origins
from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.processes import Processes
from supervisor.core.manifest.readers import ReadError
from supervisor.core.manifest.schedules import Schedules
from supervisor.core.manifest.settings import Surroundings
from supervisor.core.manifest.tables import read_table
from supervisor.core.manifest.targets import split
from supervisor.core.manifest.wording import Path, nearest
from supervisor.core.tree.group import Group

_KNOWN = tuple(JOB)
_TIMING = tuple(name for name in TIMING if name not in {"timezone", "align", "offset"})
_OF_THE_GROUP = ("max_restarts", "within", "on_give_up")
"""Keys that a group settles for its members."""
_SUPERVISION = (
    "restart",
    "success_exit",
    "on_give_up",
    "stop_signal",
    "stop_timeout",
    "settle",
    "start_timeout",
    "heartbeat",
    "max_age",
)


class Jobs:
    """Makes the jobs of one manifest. ``defaults`` is [defaults] as it was read from the file ``main``."""

    def __init__(
        self,
        around: Surroundings,
        problems: Problems,
        *,
        timezone: str,
        main: Source,
        defaults: Mapping[str, Any],
        groups: Mapping[str, Group],
        notifiers: Sequence[str],
    ) -> None:
        """Take what a job may refer to: groups, and the names of notifiers."""
        self._groups = groups
        self._notifiers = notifiers
        self._problems = problems
        self._schedules = Schedules(around, timezone)
        self._processes = Processes(around)
        self._main = main
        self._defaults = self._judged(main, defaults)

    def _judged(self, main: Source, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the defaults without what is wrong with them by themselves: that is told once, not for every job."""
        before = len(self._problems.found)
        alone = Merged(main, ("defaults",), defaults, frozenset(defaults), self._problems)
        _backoff(alone)
        self._schedules.zone(alone)
        self._processes.process(alone)
        if len(self._problems.found) == before:
            return defaults
        return {name: value for name, value in defaults.items() if name not in {"backoff", "timezone", "env_file"}}

    def job(self, source: Source, name: str, raw: Any) -> Job | None:
        """Return the job of a table, or None where problems were noted."""
        before = len(self._problems.found)
        path = ("jobs", name)
        own = read_table(source, path, raw, JOB, self._problems)
        if not isinstance(raw, dict):
            return None
        # a misspelt key counts as the one that was meant: what follows from it alone would only hide it
        meant = raw.keys() | {nearest(key, _KNOWN) for key in raw.keys() - JOB.keys()}
        self._one_of_each(source, path, raw, meant)
        table = merge(source, path, own, self._defaults, meant, self._problems)
        zone_name, zone = self._schedules.zone(table)
        schedule = self._schedules.schedule(table, zone_name, zone)
        target = _target(table)
        group = self._group(source, path, own)
        check_told(source, path, own.get("notify"), self._notifiers, self._problems)
        supervision = _supervision(table, group)
        process = self._processes.process(table)
        timing = _timing(table, zone_name)
        if isinstance(supervision.ready, LogMatch) and table.values.get("log") in (LogMode.INHERIT, LogMode.NULL):
            table.add(("ready",), "cannot look at the output: it goes to no log of its own, as `log` says")
        if len(self._problems.found) > before or target is None:
            return None
        values = table.values
        return Job(
            name=name,
            target=target,
            schedule=schedule,
            description=values.get("description", ""),
            enabled=values.get("enabled", True),
            instances=values.get("instances", 1),
            group=group.name if group is not None else None,
            after=tuple(dict.fromkeys(values.get("after", ()))),
            supervision=supervision,
            timing=timing,
            process=process,
            log=_log(values.get("log", {})),
            notify=tuple(dict.fromkeys(values.get("notify", ()))),
            written=KIND_KEYS.intersection(raw),
            where=source.place(path),
            origins=origins(table, own, self._main, group),
        )

    def _group(self, source: Source, path: Path, own: Mapping[str, Any]) -> Group | None:
        """Return the group that a job names; there the job has no limit of its own."""
        name = own.get("group")
        if name is None:
            return None
        group = self._groups.get(name)
        if group is None:
            self._problems.add(source, (*path, "group"), unknown_group(name, tuple(self._groups)))
        for key in _OF_THE_GROUP:
            if key in own:
                what = f"the limit of a group is shared by its members; write it in [groups.{name}]"
                self._problems.add(source, (*path, key), what)
        return group

    def _one_of_each(self, source: Source, path: Path, raw: Mapping[str, Any], meant: set[str | None]) -> None:
        what = [key for key in raw if key in WHAT]
        when = [key for key in raw if key in WHEN]
        if meant.isdisjoint(WHAT):
            self._problems.add(source, path, "nothing says what runs; give the job `run` or `command`")
        for extra in what[1:]:
            self._problems.add(source, (*path, extra), f"a job runs one thing; it has `{what[0]}` already")
        for extra in when[1:]:
            self._problems.add(source, (*path, extra), f"a job has at most one schedule; it has `{when[0]}` already")


def _target(table: Merged) -> Run | Command | None:
    values = table.values
    if "run" in values:
        return Run(target=values["run"], args=values.get("args", ()), kwargs=values.get("kwargs", {}))
    command, is_shell = values.get("command"), values.get("shell", False)
    match command:
        case str() if is_shell:
            return Command(argv=(command,), shell=True)  # noqa: S604  # a value, nothing runs here
        case str():
            try:
                return Command(argv=split(command))
            except ReadError as error:
                table.add(("command",), str(error))
        case tuple() if is_shell:
            table.add(("command",), "found an array; expected one string, as shell = true")
        case tuple():
            return Command(argv=command)
    return None


def _supervision(table: Merged, group: Group | None) -> Supervision:
    """Return the rules of a job; in a group the limit is the group's, and the back-off unless the job has its own."""
    values = table.values
    backoff = _backoff(table)
    limit = make_limit(values, backoff)
    if group is not None:
        limit = group.limit
        backoff = backoff if "backoff" in table.own else group.backoff
        values = {**values, "on_give_up": group.on_give_up}
    return Supervision(
        limit=limit,
        backoff=backoff,
        ready=make_readiness(table),
        health=make_health(table),
        **{name: values[name] for name in _SUPERVISION if name in values},
    )


def _backoff(table: Merged) -> Backoff | None:
    backoff, fault = make_backoff(table.values.get("backoff", {}))
    if fault:
        table.add(("backoff", "initial"), fault)
    return backoff


def _timing(table: Merged, zone_name: str) -> Timing:
    values = table.values
    timing = Timing(timezone=zone_name, **{name: values[name] for name in _TIMING if name in values})
    if timing.overlap is not Overlap.ALLOW:
        table.warn("max_parallel", 'has no effect without overlap = "allow"')
    if timing.missed is not Missed.ALL:
        table.warn("missed_limit", 'has no effect without missed = "all"')
    if timing.missed is Missed.SKIP:
        table.warn("missed_within", 'has no effect with missed = "skip"')
    return timing


def _log(log: Mapping[str, Any] | LogMode) -> LogFiles | LogMode:
    if isinstance(log, LogMode):
        return log
    files = {name: value for name, value in log.items() if name != "stderr"}
    return LogFiles(**files, merge_stderr=log.get("stderr", True))
