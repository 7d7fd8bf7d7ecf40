"""From mappings to a Manifest, or every problem at once."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from supervisor.core.exits import SuccessExit
from supervisor.core.instants import ZERO
from supervisor.core.job import (
    Backoff,
    Command,
    Job,
    Limit,
    LogFiles,
    LogMode,
    OnGiveUp,
    Overlap,
    Process,
    Restart,
    Run,
    Supervision,
    Timing,
)
from supervisor.core.manifest.keys import JOB, NOT_A_DEFAULT, SUPERVISOR, TOP, TOP_LATER, WHAT, WHEN, Key, Only
from supervisor.core.manifest.readers import near
from supervisor.core.manifest.settings import Manifest, Settings
from supervisor.core.manifest.tables import Problem, Reading
from supervisor.core.schedule import At, Delay, Every, Schedule, ScheduleError, parse_cron

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file as TOML gave it, and its name as errors shall show it."""

    file: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the parser cannot know by itself: folders, and the doors to time zones and files."""

    path: str
    folder: str
    state_dir: str
    log_dir: str | None
    socket: str | None
    zone: Callable[[str], tzinfo]
    env_file: Callable[[str], Mapping[str, str]]
    """Reads a file of variables; ``ValueError`` says what is wrong with it."""
    join: Callable[[str, str], str]
    """Joins a folder and a path, as ``os.path.join`` followed by ``normpath``."""


def parse(sources: Sequence[Source], around: Surroundings) -> Manifest | tuple[Problem, ...]:
    """Return the manifest that the main file and its includes make, or every problem, in the order of the files."""
    parser = _Parser(around)
    manifest = parser.manifest(sources)
    return tuple(parser.reading.problems) or manifest


class _Parser:
    def __init__(self, around: Surroundings) -> None:
        self.reading = Reading()
        self._around = around
        self._settings: dict[str, Any] = {}
        self._defaults: dict[str, Any] = {}
        self._default_raw: Mapping[str, Any] = {}
        self._main = ""

    def manifest(self, sources: Sequence[Source]) -> Manifest:
        main = sources[0]
        self._main = main.file
        self._top(main, TOP)
        for include in sources[1:]:
            self._top(include, ("jobs", "groups", "notify"))
        self._settings = self.reading.table(main.file, ("supervisor",), main.document.get("supervisor", {}), SUPERVISOR)
        self._read_defaults(main)
        settings = self._make_settings(main.file)
        jobs = tuple(self._jobs(sources))
        warnings = () if jobs else ("the manifest has no jobs",)
        return Manifest(
            path=self._around.path, folder=self._around.folder, settings=settings, jobs=jobs, warnings=warnings
        )

    def _top(self, source: Source, known: Sequence[str]) -> None:
        for name in source.document:
            if name in TOP_LATER and name in known:
                self.reading.problem(source.file, (name,), "not yet supported; remove it")
            elif name not in known:
                where = "" if known is TOP else " in an included file, which takes jobs alone"
                self.reading.problem(source.file, (name,), f"unknown key{where}{near(name, list(known))}")

    # -- [supervisor] --------------------------------------------------------------------------------------------------

    def _make_settings(self, file: str) -> Settings:
        values, around = self._settings, self._around
        state_dir = self._path(values.get("state_dir", around.state_dir))
        log = self._own_log(file, values.get("log") or {})
        history = values.get("history") or {}
        if "timezone" in values:
            self._zone(file, ("supervisor", "timezone"), values["timezone"])
        limit = Limit(max_restarts=values.get("max_restarts", 0), within=values.get("within", _MINUTE))
        given = {name: values[name] for name in ("preload", "max_running", "vitals", "stop_timeout") if name in values}
        kept = {f"history_{name}": history[name] for name in ("keep", "keep_runs") if name in history}
        return Settings(
            state_dir=state_dir,
            log_dir=self._path(values.get("log_dir", around.log_dir or around.join(state_dir, "logs"))),
            socket=self._path(values.get("socket", around.socket or around.join(state_dir, "control.sock"))),
            timezone=values.get("timezone", "UTC"),
            pythonpath=tuple(map(self._path, values.get("pythonpath", ()))),
            root_limit=limit,
            **given,
            **log,
            **kept,
        )

    def _own_log(self, file: str, log: Mapping[str, Any]) -> dict[str, Any]:
        level = str(log.get("level", "INFO")).upper()
        if level not in _LEVELS:
            text = f'found "{log["level"]}"; expected one of {", ".join(_LEVELS)}{near(level, list(_LEVELS))}'
            self.reading.problem(file, ("supervisor", "log", "level"), text)
        made: dict[str, Any] = {"log_level": level}
        if "file" in log:
            made["log_file"] = self._path(log["file"])
        return made | {f"log_{name}": log[name] for name in ("max_size", "keep") if name in log}

    def _path(self, text: str) -> str:
        return self._around.join(self._around.folder, text)

    # -- [defaults] ----------------------------------------------------------------------------------------------------

    def _read_defaults(self, main: Source) -> None:
        raw = main.document.get("defaults", {})
        self._defaults = self.reading.table(main.file, ("defaults",), raw, JOB)
        for name in list(self._defaults):
            if name in NOT_A_DEFAULT:
                self.reading.problem(main.file, ("defaults", name), "says what one job is; it cannot be a default")
                del self._defaults[name]

    # -- [jobs.NAME] ---------------------------------------------------------------------------------------------------

    def _jobs(self, sources: Sequence[Source]) -> list[Job]:
        made: list[Job] = []
        seen: dict[str, str] = {}
        for source in sources:
            tables = source.document.get("jobs", {})
            if not isinstance(tables, dict):
                self.reading.problem(source.file, ("jobs",), "expected tables such as [jobs.backup]")
                continue
            for name, raw in tables.items():
                path = ("jobs", name)
                if not _NAME.fullmatch(name):
                    text = "a job's name is ASCII letters, digits, _ and -, first a letter or digit, at most 64"
                    self.reading.problem(source.file, path, text)
                elif name in seen:
                    self.reading.problem(source.file, path, f"the name is given twice: {seen[name]} has it already")
                else:
                    seen[name] = source.file
                    job = self._job(source.file, name, raw)
                    made += [job] if job is not None else []
        return made

    def _job(self, file: str, name: str, raw: Any) -> Job | None:
        path = ("jobs", name)
        problems = len(self.reading.problems)
        own = self.reading.table(file, path, raw, JOB)
        if not isinstance(raw, dict):
            return None
        self._exactly_one(file, path, raw)
        values = self._with_defaults(file, path, raw, own)
        schedule = self._schedule(file, path, values)
        supervision = self._supervision(file, path, values)
        process = self._process(file, path, values)
        log = self._log(file, path, values)
        timing = self._timing(file, path, values, schedule)
        target = self._target(file, path, values)
        if len(self.reading.problems) > problems or target is None:
            return None
        return Job(
            name=name,
            target=target,
            schedule=schedule,
            description=values.get("description", ""),
            enabled=values.get("enabled", True),
            instances=values.get("instances", 1),
            supervision=supervision,
            timing=timing,
            process=process,
            log=log,
            written=frozenset({"retries", "restart"} & raw.keys()),
            where=file,
        )

    def _exactly_one(self, file: str, path: tuple[str, ...], raw: Mapping[str, Any]) -> None:
        what = [key for key in WHAT if key in raw]
        when = [key for key in WHEN if key in raw]
        if not what:
            self.reading.problem(file, path, "says not what runs; give it `run` or `command`")
        if len(what) > 1:
            self.reading.problem(file, (*path, what[1]), "a job has `run` or `command`, not both")
        for extra in when[1:]:
            self.reading.problem(file, (*path, extra), f"a job has one schedule at most; it has `{when[0]}` already")

    def _with_defaults(
        self, file: str, path: tuple[str, ...], raw: Mapping[str, Any], own: dict[str, Any]
    ) -> dict[str, Any]:
        """Return a job's values over the defaults that apply to its kind; its own that do not apply are problems."""
        values: dict[str, Any] = {}
        for name, value in self._defaults.items():
            if self._applies(name, JOB[name], raw) is None:
                values[name] = dict(value) if isinstance(value, dict) else value
        for name, value in own.items():
            why = self._applies(name, JOB[name], raw)
            if why is not None:
                self.reading.problem(file, (*path, name), why)
            elif isinstance(value, dict) and isinstance(values.get(name), dict):
                values[name] |= value
            else:
                values[name] = value
        return values

    @staticmethod
    def _applies(name: str, key: Key, raw: Mapping[str, Any]) -> str | None:
        """Return why a key does not apply to a job of this kind, or None where it does."""
        is_scheduled = any(when in raw for when in WHEN)
        match key.only:
            case Only.SCHEDULED if not is_scheduled:
                return "applies to scheduled jobs alone; give the job `every`, `delay`, `cron` or `at`, or remove it"
            case Only.EVERY if "every" not in raw:
                return "applies to `every` alone"
            case Only.RUN if "run" not in raw:
                return "applies to `run` alone"
            case Only.COMMAND if "command" not in raw:
                return "applies to `command` alone"
        if name == "restart" and is_scheduled and "command" in raw:
            return "applies to long-lived jobs and Workers; a scheduled command has `retries`"
        return None

    # -- the parts of a job --------------------------------------------------------------------------------------------

    def _target(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> Run | Command | None:
        if "run" in values:
            kwargs = values.get("kwargs", {})
            return Run(target=values["run"], args=values.get("args", ()), kwargs=kwargs)
        command = values.get("command")
        if command is None:
            return None
        if values.get("shell", False):
            if not isinstance(command, str):
                self.reading.problem(file, (*path, "command"), "with shell = true it must be one string")
                return None
            return Command(argv=(command,), shell=True)  # noqa: S604  # a value, nothing runs here
        return Command(argv=tuple(shlex.split(command)) if isinstance(command, str) else command)

    def _zone(self, file: str, path: tuple[str, ...], name: str) -> tzinfo:
        try:
            return self._around.zone(name)
        except ScheduleError as error:
            self.reading.problem(file, path, str(error))
            return UTC

    def _job_zone(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> tzinfo:
        if "timezone" in values:
            return self._zone(file, (*path, "timezone"), values["timezone"])
        try:
            return self._around.zone(self._settings.get("timezone", "UTC"))
        except ScheduleError:
            return UTC

    def _schedule(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> Schedule | None:
        zone = self._job_zone(file, path, values) if "cron" in values or "at" in values or "timezone" in values else UTC
        match values:
            case {"every": interval}:
                return self._every(file, path, values, interval)
            case {"delay": delay}:
                return Delay(delay=delay)
            case {"cron": expression}:
                try:
                    return parse_cron(expression, zone)
                except ScheduleError as error:
                    self.reading.problem(file, (*path, "cron"), f'"{expression}" is not a schedule: {error}')
            case {"at": datetime() as at}:
                local = at if at.tzinfo is not None else at.replace(tzinfo=zone)
                return At(at=local.astimezone(UTC))
        return None

    def _every(self, file: str, path: tuple[str, ...], values: Mapping[str, Any], interval: Any) -> Every:
        offset = values.get("offset", ZERO)
        if offset >= interval:
            self.reading.problem(file, (*path, "offset"), "must be less than `every`")
        align = values.get("align")
        if align not in {None, "clock"}:
            self.reading.problem(file, (*path, "align"), f'found "{align}"; expected "clock", or leave it out')
        return Every(interval=interval, offset=offset, align_clock=align == "clock")

    def _supervision(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> Supervision:
        backoff = self._backoff(file, path, values.get("backoff", {}))
        most = 5 if backoff is None else None
        limit = Limit(max_restarts=values.get("max_restarts", most), within=values.get("within", _MINUTE))
        given = {name: values[name] for name in ("stop_signal", "settle") if name in values}
        return Supervision(
            restart=values.get("restart", Restart.ALWAYS),
            success_exit=values.get("success_exit") or SuccessExit(),
            limit=limit,
            backoff=backoff,
            on_give_up=values.get("on_give_up", OnGiveUp.FENCE),
            stop_timeout=values.get("stop_timeout", Supervision().stop_timeout),
            **given,
        )

    def _backoff(self, file: str, path: tuple[str, ...], raw: Any) -> Backoff | None:
        if isinstance(raw, str):
            if raw != "none":
                self.reading.problem(file, (*path, "backoff"), f'found "{raw}"; expected "none" or a table')
            return None
        backoff = Backoff(**raw)
        if backoff.initial > backoff.max:
            if "max" in raw:
                self.reading.problem(file, (*path, "backoff", "initial"), "is longer than `max`")
            else:
                backoff = replace(backoff, max=backoff.initial)
        return backoff

    def _timing(self, file: str, path: tuple[str, ...], values: Mapping[str, Any], schedule: Schedule | None) -> Timing:
        names = (
            "run_at_start",
            "jitter",
            "overlap",
            "max_parallel",
            "missed",
            "missed_within",
            "missed_limit",
            "late_after",
            "expect_success_within",
            "retries",
            "timeout",
            "deadline",
            "pause_after_failures",
        )
        timing = Timing(
            timezone=values.get("timezone", self._settings.get("timezone", "UTC")),
            **{name: values[name] for name in names if name in values},
        )
        if timing.max_parallel is not None and timing.overlap is not Overlap.ALLOW and schedule is not None:
            self.reading.problem(file, (*path, "max_parallel"), 'means nothing without overlap = "allow"')
        return timing

    def _process(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> Process:
        env: dict[str, str] = {}
        if "env_file" in values:
            try:
                env |= self._around.env_file(self._path(values["env_file"]))
            except ValueError as error:
                self.reading.problem(file, (*path, "env_file"), str(error))
        env |= values.get("env", {})
        return Process(env=env, cwd=self._path(values.get("cwd", ".")))

    def _log(self, file: str, path: tuple[str, ...], values: Mapping[str, Any]) -> LogFiles | LogMode:
        log = values.get("log", {})
        if isinstance(log, LogMode):
            return log
        stderr = log.get("stderr", "merge")
        if stderr not in {"merge", "separate"}:
            text = f'found "{stderr}"; expected "merge" or "separate"'
            self.reading.problem(file, (*path, "log", "stderr"), text)
        files = {name: log[name] for name in ("max_size", "keep", "timestamps") if name in log}
        return LogFiles(**files, merge_stderr=stderr == "merge")


_MINUTE = timedelta(minutes=1)
