"""systemd's .service and .timer units (systemd.service(5), systemd.timer(5), systemd.exec(5), systemd.kill(5))."""

import re
from collections.abc import Sequence
from datetime import timedelta

from supervisor.core.durations import spell_duration
from supervisor.errors import JobvisorError
from supervisor.imports.calendar import NoCronError, parse_calendar
from supervisor.imports.draft import Draft, JobDraft, as_number
from supervisor.imports.origin import Origin
from supervisor.imports.ties import Ties
from supervisor.imports.unitfile import Unit, for_shell, parse_span, parse_unit, words

_RESTARTS = {"no": "never", "always": "always", "on-failure": "on-failure"}
_CLEAN_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"]
"""Ends by these are clean to systemd, of all services but oneshot ones."""
_DEFAULT_BURST, _DEFAULT_INTERVAL = 5, timedelta(seconds=10)
_PREFIXES = re.compile(r"[-@:+!|]*")
_KILL = re.compile(
    r"-?(?:/usr)?(?:/bin/)?kill(?: -(?:s )?(?:([A-Z0-9]+))|(?: --signal[ =]([A-Z0-9]+)))? \$\{?MAINPID\}?"
)
_PLAIN = {"User": "user", "Group": "group_id", "UMask": "umask"}
_LIMITS = {
    "LimitNOFILE": "open_files",
    "LimitNPROC": "processes",
    "LimitCORE": "core",
    "LimitCPU": "cpu_time",
    "MemoryMax": "memory",
    "CPUQuota": "cpu",
}
_FIRST = ("OnBootSec", "OnStartupSec", "OnActiveSec")
_INTERVALS = ("StartLimitInterval", "StartLimitIntervalSec")
"""The first is its name before systemd 230, when both stood in [Service]."""
_COUNTS = frozenset({"LimitNOFILE", "LimitNPROC"})
_SATISFIED = frozenset({"Documentation", "SendSIGCONT", "AccuracySec", "SyslogIdentifier", "PassEnvironment"})
_SANDBOX = re.compile(
    r"(Private|Protect|Restrict|Lock|System|Capability|Ambient|NoNew|Inaccessible|ReadOnly|ReadWrite|Bind|Dynamic|Memory"
    r"|Device|IPAddress|Temporary|Root|Remove|Secure|Keyring|SELinux|AppArmor|CPU|IO|Tasks|Slice|Delegate|Supplementary).*"
)


def looks_like_unit(text: str) -> bool:
    """Tell whether it has a section that only units have."""
    return bool(re.search(r"^\[(Unit|Service|Timer)\]\s*$", text, re.MULTILINE))


def read_units(origins: Sequence[Origin], draft: Draft) -> None:
    """Make jobs of services, of timers and the services that they start, and of services with a timer beside them."""
    units = {origin.name: parse_unit(origin.name, origin.text) for origin in origins}
    for origin in origins:
        if units[origin.name].sections.keys().isdisjoint({"Timer", "Service"}):
            raise JobvisorError(f"{origin.path}: a unit without [Service] and [Timer]; only those can become jobs")
    started = {name: _started(unit) for name, unit in units.items() if "Timer" in unit.sections}
    services = frozenset({*started.values(), *(name for name in units if name not in started)})
    ties = Ties(services)
    for origin in origins:
        name, unit = origin.name, units[origin.name]
        if name in started:
            text = next((each.text for each in origins if each.name == started[name]), None)
            text = text if text is not None else origin.read(started[name])
            service = None if text is None else parse_unit(started[name], text)
            _timed(origin, draft, ties, unit, service, started[name])
        elif name not in started.values():
            beside = origin.read(f"{unit.name}.timer")
            if beside is not None:
                draft.note(f"{unit.name}.timer beside it says when it runs")
                _timed(origin, draft, ties, parse_unit(f"{unit.name}.timer", beside), unit, name)
            else:
                _service(origin, draft, ties, unit, name, None)
    ties.tie()


def _started(timer: Unit) -> str:
    """Return the name of the unit that a timer starts."""
    return timer.take("Timer", "Unit") or f"{timer.name}.service"


def _timed(origin: Origin, draft: Draft, ties: Ties, timer: Unit, service: Unit | None, started: str) -> None:
    """Make a job of each schedule of a timer."""
    schedules = _schedules(draft, timer)
    for number, schedule in enumerate(schedules):
        if number:
            draft.note(f"{timer.name}: a job has one schedule; each further one has made a job of its own")
        if service is None:
            job = draft.job(timer.name)
            job.set("command", ["systemctl", "start", "--wait", started], "Unit")
            job.note(f"{started} is not beside the timer: systemd still runs it, only when is said here")
        else:
            job = _service(origin, draft, ties, service.copy(), started, timer)
        for key, value in schedule.items():
            job.set(key, value, f"{timer.name}.timer")
        if job.table.keys().isdisjoint({"every", "delay", "cron", "at"}):
            draft.drop(job)


def _schedules(draft: Draft, timer: Unit) -> list[dict[str, object]]:
    """Return the schedules of a timer, each with the keys that go with it."""
    shared: dict[str, object] = {}
    spread = timer.take("Timer", "RandomizedDelaySec")
    if spread and (length := _span(draft, f"RandomizedDelaySec={spread}", spread)):
        shared["jitter"] = spell_duration(length)
    timer.take("Timer", "FixedRandomDelay")
    timer.take("Unit", "Description")
    is_persistent = (timer.take("Timer", "Persistent") or "no").lower() in {"yes", "true", "on", "1"}
    found = [*_calendars(draft, timer, is_persistent=is_persistent), *_intervals(draft, timer)]
    _left(draft, timer, {"Timer", "Unit"})
    if not found:
        draft.note(f"{timer.name}.timer: nothing in it could become a schedule, so there is no job")
    return [{**schedule, **shared} for schedule in found]


def _calendars(draft: Draft, timer: Unit, *, is_persistent: bool) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for text in timer.take_all("Timer", "OnCalendar"):
        try:
            calendar = parse_calendar(text)
        except NoCronError as error:
            draft.note(f"{timer.name}: OnCalendar={text}: {error}")
            continue
        when: dict[str, object] = (
            {"every": calendar.every, "align": "clock"} if calendar.every else {"cron": calendar.cron}
        )
        if calendar.timezone:
            when["timezone"] = calendar.timezone
        elif calendar.cron:
            draft.set_supervisor("timezone", "local", "OnCalendar")
        if not is_persistent:
            when["missed"] = "skip"
        found.append(when)
    return found


def _intervals(draft: Draft, timer: Unit) -> list[dict[str, object]]:
    """Return what counts from an event: of the unit itself a schedule, of the boot or of the timer a first run."""
    found: list[dict[str, object]] = []
    first = {key: value for key in _FIRST if (value := timer.take("Timer", key))}
    for key, word in (("OnUnitActiveSec", "every"), ("OnUnitInactiveSec", "delay")):
        for value in timer.take_all("Timer", key):
            length = _span(draft, f"{key}={value}", value)
            if length:
                found.append({word: spell_duration(length), **({"run_at_start": True} if first else {})})
    for key, value in first.items():
        if found:
            draft.note(f"{timer.name}: {key}={value}: the first run is at the first sight of the job, not later")
        elif key != "OnActiveSec":
            draft.note(f"{timer.name}: {key}={value}: once a boot, and at once: there is no delay")
            return [{"cron": "@reboot"}]
        else:
            draft.note(f"{timer.name}: {key}={value}: nothing here counts from the start of the supervisor")
    return found


def _service(origin: Origin, draft: Draft, ties: Ties, unit: Unit, file: str, timer: Unit | None) -> JobDraft:
    """Make a job of a service, which a timer starts, or which is kept running."""
    name = unit.name.partition("@")[0] if unit.name.endswith("@") else unit.name
    job = draft.job(name, called=name)
    ties.take(file, job, unit)
    for key, left in unit.unknown.items():
        if any(key in unit.sections.get(section, {}) for section in ("Service", "Unit")):
            job.note(f"{key}: {', '.join(dict.fromkeys(left))} stands as it was written: only the machine knows it")
    description = unit.take("Unit", "Description")
    if description:
        job.set("description", description, "Description")
    kind = unit.take("Service", "Type") or "simple"
    _command(job, unit, kind)
    if timer is None:
        _restarts(job, unit, kind)
    else:
        _no_restarts(job, unit)
    _stops(job, unit, kind)
    _process(origin, job, unit)
    _output(job, unit)
    _times(job, unit, kind, is_timed=timer is not None)
    _left(draft, unit, {"Unit", "Service"})
    return job


def _command(job: JobDraft, unit: Unit, kind: str) -> None:
    """Set what runs; of several lines, which only a oneshot may have, one after the other."""
    lines = unit.take_all("Service", "ExecStart")
    if kind == "forking":
        job.note("Type=forking: it must stay in the foreground; most programs have an option for that")
        unit.take("Service", "PIDFile")
    elif kind == "notify":
        job.set("ready", "notify", "Type=notify")
    elif kind == "dbus":
        job.note("Type=dbus: it counts as ready when it runs")
    plain = [_plain_line(job, line) for line in lines]
    if len(plain) > 1:
        job.set("command", " && ".join(for_shell(line) for line in plain), "ExecStart")
        job.set("shell", value=True, said="ExecStart")
    elif not plain:
        job.note("ExecStart is missing: nothing says what runs")
        job.set("command", ["true"], "ExecStart")
    elif "$" in plain[0]:
        job.set("command", f"exec {for_shell(plain[0])}", "ExecStart")
        job.set("shell", value=True, said="ExecStart")
    else:
        job.set("command", words(plain[0]), "ExecStart")
    for line in unit.take_all("Service", "ExecReload"):
        job.note(
            f"ExecReload={line}: `jobvisor signal {job.name} {_killed(line) or 'SIGNAL'}` has it read its settings anew"
        )
    for key in ("ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecCondition"):
        for line in unit.take_all("Service", key):
            if key == "ExecStop" and (signal := _killed(line)):
                job.set("stop_signal", signal, f"ExecStop={line}")
            else:
                job.note(f"{key}={line}: nothing runs before, after or to stop a job; put it into the command")


def _killed(line: str) -> str | None:
    """Return the signal that a line sends to the main process, and does nothing else; None where it is another."""
    found = _KILL.fullmatch(line)
    return (found[1] or found[2] or "TERM").removeprefix("SIG") if found else None


def _plain_line(job: JobDraft, line: str) -> str:
    """Return a command line without the prefixes that change how systemd runs it."""
    prefixes = _PREFIXES.match(line)
    marks = prefixes[0] if prefixes else ""
    plain = line[len(marks) :]
    if "-" in marks:
        job.note(f"ExecStart={line}: its failures count here; `success_exit` names exit codes that are none")
    if "@" in marks:
        program, _, rest = plain.partition(" ")
        plain = f"{program} {rest.lstrip().partition(' ')[2]}".strip()
        job.note(f"ExecStart={line}: a program's own name cannot be given")
    if set(marks) & set("+!"):
        job.note(f"ExecStart={line}: it runs as `user` says")
    if ":" in marks:
        plain = plain.replace("$", "$$")
    return plain


def _restarts(job: JobDraft, unit: Unit, kind: str) -> None:
    restart = unit.take("Service", "Restart") or "no"
    policy = _RESTARTS.get(restart)
    if policy is None:
        policy = "never" if restart == "on-success" else "on-failure"
        job.note(f'Restart={restart}: "{policy}" is the nearest')
    job.set("restart", policy, f"Restart={restart}")
    codes = _exits(unit.take("Service", "SuccessExitStatus") or "")
    signals = [] if kind == "oneshot" else _CLEAN_SIGNALS
    if policy == "on-failure" or codes:
        job.set("success_exit", [0, *signals, *codes], "SuccessExitStatus")
    if policy == "never":
        for section in ("Unit", "Service"):
            for key in ("RestartSec", "StartLimitBurst", "StartLimitIntervalSec", "StartLimitInterval"):
                unit.take(section, key)
        return
    _backoff(job, unit)
    _limit(job, unit)


def _exits(text: str) -> list[int | str]:
    return [as_number(word) for word in text.split()]


def _backoff(job: JobDraft, unit: Unit) -> None:
    """Set the delay of restarts, which to systemd is always the same, or grows in steps."""
    text = unit.take("Service", "RestartSec")
    most, steps = unit.take("Service", "RestartMaxDelaySec"), unit.take("Service", "RestartSteps")
    initial = _span(job.draft, f"RestartSec={text}", text) if text else None
    if text is None or initial is None:
        return
    if not initial:
        job.set("backoff", "none", f"RestartSec={text}")
        return
    longest = _span(job.draft, f"RestartMaxDelaySec={most}", most) if most else None
    factor = 1.0
    count = as_number(steps or "0")
    if longest and isinstance(count, int) and count > 0:
        factor = round((longest / initial) ** (1 / count), 2)
    longest = max(longest or initial, initial)
    delay = {"initial": spell_duration(initial), "factor": factor, "max": spell_duration(longest)}
    job.set("backoff", delay, f"RestartSec={text}")


def _limit(job: JobDraft, unit: Unit) -> None:
    """Set the limit where the unit names one; systemd counts starts, and the first is no restart."""
    burst = unit.take("Service", "StartLimitBurst") or unit.take("Unit", "StartLimitBurst")
    given = [unit.take(section, key) for section in ("Service", "Unit") for key in _INTERVALS]
    interval = next((each for each in given if each), None)
    if burst is None and interval is None:
        return
    within = _span(job.draft, f"StartLimitIntervalSec={interval}", interval) if interval else _DEFAULT_INTERVAL
    if not within:
        return
    starts = as_number(burst or str(_DEFAULT_BURST))
    if not isinstance(starts, int):
        job.note(f"StartLimitBurst={starts}: no number")
    elif job.set("max_restarts", max(0, starts - 1), f"StartLimitBurst={starts}"):
        job.set("within", spell_duration(within), "StartLimitIntervalSec")


def _no_restarts(job: JobDraft, unit: Unit) -> None:
    restart = unit.take("Service", "Restart")
    unit.take("Service", "RestartSec")
    if restart and restart != "no":
        job.note(f"Restart={restart}: a scheduled run has `retries` instead")
    codes = _exits(unit.take("Service", "SuccessExitStatus") or "")
    if codes:
        job.set("success_exit", [0, *codes], "SuccessExitStatus")


def _stops(job: JobDraft, unit: Unit, kind: str) -> None:
    signal = unit.take("Service", "KillSignal")
    if signal:
        job.set("stop_signal", signal, f"KillSignal={signal}")
    mode = unit.take("Service", "KillMode")
    if mode not in {None, "control-group", "mixed"}:
        job.note(f"KillMode={mode}: whatever a job has started ends with it")
    both = unit.take("Service", "TimeoutSec")
    stop = unit.take("Service", "TimeoutStopSec") or both
    if (unit.take("Service", "SendSIGKILL") or "yes").lower() in {"no", "false", "off", "0"}:
        stop = "infinity"
    if stop:
        length = _span(job.draft, f"TimeoutStopSec={stop}", stop)
        job.set("stop_timeout", "none" if length is None else spell_duration(length), f"TimeoutStopSec={stop}")
    if both and kind == "notify":
        unit.sections["Service"].setdefault("TimeoutStartSec", [both])


def _times(job: JobDraft, unit: Unit, kind: str, *, is_timed: bool) -> None:
    """Set how long a run may take; to systemd a oneshot is starting as long as it runs."""
    watchdog = unit.take("Service", "WatchdogSec")
    if watchdog and not is_timed and (length := _span(job.draft, f"WatchdogSec={watchdog}", watchdog)):
        job.set("heartbeat", spell_duration(length), f"WatchdogSec={watchdog}")
    start, most = unit.take("Service", "TimeoutStartSec"), unit.take("Service", "RuntimeMaxSec")
    if most and (length := _span(job.draft, f"RuntimeMaxSec={most}", most)):
        job.set("timeout" if is_timed else "max_age", spell_duration(length), f"RuntimeMaxSec={most}")
    if start and (length := _span(job.draft, f"TimeoutStartSec={start}", start)):
        if is_timed and kind == "oneshot":
            job.set("timeout", spell_duration(length), f"TimeoutStartSec={start}")
        elif kind == "notify":
            job.set("start_timeout", spell_duration(length), f"TimeoutStartSec={start}")


def _process(origin: Origin, job: JobDraft, unit: Unit) -> None:
    variables = dict(
        assignment.split("=", 1)
        for line in unit.take_all("Service", "Environment")
        for assignment in words(line)
        if "=" in assignment
    )
    if variables:
        job.set("env", variables, "Environment")
    files = unit.take_all("Service", "EnvironmentFile")
    for number, file in enumerate(files):
        said, path = f"EnvironmentFile={file}", file.removeprefix("-")
        if number:
            job.note(f"{said}: a job has one `env_file`")
        elif path != file and origin.read(path) is None:
            job.note(f"{said}: the file of an `env_file` has to be there, and it is not")
        else:
            job.set("env_file", path, said)
    folder = unit.take("Service", "WorkingDirectory")
    if folder == "~":
        job.note("WorkingDirectory=~: say the path in `cwd`")
    else:
        job.set("cwd", (folder or "/").removeprefix("-"), "WorkingDirectory")
    for setting, key in _PLAIN.items():
        value = unit.take("Service", setting)
        if value:
            job.set(key, value, f"{setting}={value}")
    nice = unit.take("Service", "Nice")
    if nice:
        job.set("nice", as_number(nice), f"Nice={nice}")
    for setting, key in _LIMITS.items():
        value = unit.take("Service", setting)
        if value:
            _set_limit(job, setting, key, value)


def _set_limit(job: JobDraft, setting: str, key: str, value: str) -> None:
    """Set a limit; of a soft and a hard one the soft."""
    said = f"{setting}={value}"
    soft = value.partition(":")[0]
    if setting == "LimitCPU":
        length = _span(job.draft, said, soft)
        if length:
            job.set(f"limits.{key}", spell_duration(length), said)
    elif setting == "LimitCORE" and soft == "infinity":
        job.set(f"limits.{key}", "unlimited", said)
    elif soft == "infinity":
        return
    elif setting in _COUNTS:
        job.set(f"limits.{key}", as_number(soft), said)
    else:
        job.set(f"limits.{key}", soft, said)


def _output(job: JobDraft, unit: Unit) -> None:
    target = unit.take("Service", "StandardOutput") or "journal"
    errors = unit.take("Service", "StandardError")
    if target == "null":
        job.set("log", "null", "StandardOutput=null")
    elif target not in {"journal", "inherit", "syslog"}:
        job.note(f"StandardOutput={target}: output goes to {job.name}.log in the log_dir")
    if errors and errors not in {"inherit", "journal", "syslog", target}:
        job.note(f"StandardError={errors}: it goes where standard output goes")
    source = unit.take("Service", "StandardInput")
    if source and source != "null":
        job.set("stdin", source, f"StandardInput={source}")


def _left(draft: Draft, unit: Unit, sections: set[str]) -> None:
    """Note every setting that has no counterpart: those of one sort together."""
    sandbox: list[str] = []
    order: list[str] = []
    for section, key, values in unit.left():
        if section not in sections or key in _SATISFIED:
            continue
        if section == "Unit" and not key.startswith(("Condition", "Assert", "OnFailure", "OnSuccess")):
            order.append(f"{key}={' '.join(values)}")
        elif _SANDBOX.fullmatch(key):
            sandbox.append(key)
        else:
            instead = "a [notify.NAME] tells of failures" if key == "OnFailure" else "nothing here is like it"
            draft.note(f"{unit.name}: {key}={' '.join(values)}: {instead}")
    if sandbox:
        draft.note(f"{unit.name}: {', '.join(sandbox)}: Jobvisor does not sandbox; put them into the unit that runs it")
    if order:
        draft.note(f"{unit.name}: {', '.join(order)}: for the unit that runs Jobvisor; its jobs start with it")


def _span(draft: Draft, said: str, text: str) -> timedelta | None:
    try:
        return parse_span(text)
    except ValueError as error:
        draft.note(f"{said}: {error}")
        return timedelta(0)
