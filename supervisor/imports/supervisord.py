"""supervisord.conf, as http://supervisord.org/configuration.html describes it (4.2), and the files that it includes."""

import re
import shlex
from collections.abc import Mapping
from configparser import Error as ConfigError
from configparser import RawConfigParser

from supervisor.errors import JobvisorError
from supervisor.imports.draft import Draft, JobDraft, as_number
from supervisor.imports.origin import Origin

Options = dict[str, str]
_TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})
_SATISFIED = frozenset({"stopasgroup", "killasgroup", "process_name", "redirect_stderr", "numprocs_start"})
"""What always is so here, or is read elsewhere."""
_NOWHERE = frozenset({"none", "/dev/null"})
_UNSAID = {
    "startretries": "a job is tried for ever, with growing delays; `max_restarts` and `within` make it give up",
    "stdout_syslog": "output goes to files",
    "stderr_syslog": "output goes to files",
    "stdout_events_enabled": "there are no event listeners",
    "stderr_events_enabled": "there are no event listeners",
    "stdout_capture_maxbytes": "there is no capture mode",
    "stderr_capture_maxbytes": "there is no capture mode",
    "serverurl": "the socket's path is in no variable; a job's own code has `from supervisor import job`",
}
_OWN = frozenset({"loglevel", "environment", "directory", "umask"})
_LEVELS = {"critical": "CRITICAL", "error": "ERROR", "warn": "WARNING", "info": "INFO", "debug": "DEBUG"}
_LEVELS |= {"trace": "TRACE", "blather": "TRACE"}
_VARIABLE = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*("[^"]*"|'[^']*'|[^,]*)\s*(?:,|$)""")
_DEFAULT_PRIORITY = 999
MOST_INSTANCES = 1000
"""As of `instances`."""


def looks_like_supervisord(text: str) -> bool:
    """Tell whether it has a section that only supervisord knows."""
    return bool(re.search(r"^\[(?:program:[^\]]+|supervisord|supervisorctl)\]", text, re.MULTILINE))


def read_supervisord(origin: Origin, draft: Draft) -> None:
    """Make a job of each program, in the order of their priorities."""
    sections = _sections(origin, draft)
    own = sections.get("supervisord", {})
    _own(draft, own)
    groups = {
        member.strip(): name.partition(":")[2]
        for name, options in sections.items()
        if name.startswith("group:")
        for member in options.get("programs", "").split(",")
    }
    programs = [(name, options) for name, options in sections.items() if name.startswith("program:")]
    programs.sort(key=lambda each: _priority(each[1]))
    for name, options in programs:
        program = name.partition(":")[2].strip()
        _program(origin, draft, program, options, groups.get(program))
    _others(draft, sections)
    if len({_priority(options) for _, options in programs}) > 1:
        draft.note("priority: the jobs stand in its order and start side by side; `after` makes one wait for another")


def _sections(origin: Origin, draft: Draft) -> dict[str, Options]:
    parser = _parsed(origin.text, origin.path)
    sections = {name: dict(parser[name]) for name in parser.sections()}
    for pattern in shlex.split(sections.get("include", {}).get("files", "").replace("%(here)s", origin.folder or ".")):
        files = origin.matches(pattern)
        if not files:
            draft.note(f"[include] files = {pattern}: there is no such file beside this one")
        for file in files:
            text = origin.read(file)
            if text is None:
                draft.note(f"[include] {file}: cannot be read")
            else:
                included = _parsed(text, file)
                sections |= {name: dict(included[name]) for name in included.sections()}
    return sections


def _parsed(text: str, path: str) -> RawConfigParser:
    """Read one file; comments begin with ``;`` or ``#``, also behind a value and a blank."""
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(text, path)
    except ConfigError as error:
        raise JobvisorError(f"{path}: not a supervisord.conf: {' '.join(str(error).split())}") from error
    return parser


def _priority(options: Options) -> int:
    priority = as_number(options.get("priority", ""))
    return priority if isinstance(priority, int) else _DEFAULT_PRIORITY


def _own(draft: Draft, options: Options) -> None:
    """Carry over what [supervisord] says for its programs; the rest is about itself."""
    if "loglevel" in options:
        level = _LEVELS.get(options["loglevel"].lower(), options["loglevel"])
        draft.set_supervisor("log.level", level, f"loglevel={options['loglevel']}")
    if "environment" in options:
        draft.set_default("env", _variables(options["environment"]), "environment")
    if "directory" in options:
        draft.set_default("cwd", options["directory"], "directory")
    if "umask" in options:
        draft.set_default("umask", options["umask"], "umask")
    rest = sorted(options.keys() - _OWN)
    if rest:
        draft.note(f"[supervisord] {', '.join(rest)}: of supervisord itself; see [supervisor] in Jobvisor's manual")


def _others(draft: Draft, sections: Mapping[str, Options]) -> None:
    for name in sections:
        kind, _, rest = name.partition(":")
        match kind:
            case "unix_http_server" if (group := _socket_group(sections[name])) is not None:
                draft.set_supervisor("socket_group", group, f"[{name}] chown={sections[name]['chown']}")
                draft.note(f"[{name}]: Jobvisor has a socket of its own, which the members of {group} may use, too")
            case "unix_http_server" | "inet_http_server" | "supervisorctl" | "rpcinterface":
                draft.note(f"[{name}]: Jobvisor has a socket of its own, for its own commands alone")
            case "eventlistener" | "fcgi-program":
                instead = (
                    "a [notify.NAME] tells of failures" if kind == "eventlistener" else "no socket is opened for jobs"
                )
                draft.note(f"[{name}]: left out; {instead}")
            case "group" if "priority" in sections[name]:
                draft.note(f"[{name}] priority: {rest} starts and stops by its own members' order")
            case _:
                continue


def _socket_group(options: Options) -> str | None:
    """Return the group that may write to the socket, None where none may."""
    group = options.get("chown", "").partition(":")[2]
    mode = options.get("chmod", "0700")
    is_open = mode.isdecimal() and len(mode) in {3, 4} and mode[-2] in "2367"
    return group if group and is_open else None


def _program(origin: Origin, draft: Draft, program: str, options: Options, group: str | None) -> None:
    count = _number(options, "numprocs", 1)
    told_apart = any("%(process_num)" in options.get(key, "") for key in ("command", "environment", "directory"))
    first = _number(options, "numprocs_start", 0)
    if count > MOST_INSTANCES:
        draft.note(f"{program}: numprocs={count}: {MOST_INSTANCES} are the most")
        count = MOST_INSTANCES
    numbers = range(first, first + count) if count > 1 and told_apart else [first]
    for number in numbers:
        job = draft.job(f"{program}_{number:02d}" if len(numbers) > 1 else program, called=program)
        known: dict[str, str | int] = {
            "here": origin.folder,
            "program_name": program,
            "group_name": group or program,
            "process_num": number,
            "numprocs": count,
        }
        known |= {f"ENV_{name}": value for name, value in origin.environ.items()}
        expanded = {key: _expanded(job, key, value, known) for key, value in options.items()}
        if count > 1 and len(numbers) == 1:
            job.set("instances", count, f"numprocs={count}")
        _options(job, expanded)
        if not job.table.get("command"):
            job.note("left out, as it has no command that can be read")
            draft.drop(job)
        elif group:
            draft.group(group)
            job.set("group", group, f"[group:{group}]")


def _number(options: Options, key: str, otherwise: int) -> int:
    value = as_number(options.get(key, ""))
    return value if isinstance(value, int) and value >= 0 else otherwise


def _expanded(job: JobDraft, key: str, value: str, known: Mapping[str, str | int]) -> str:
    try:
        return value % known
    except (KeyError, ValueError, TypeError) as error:
        job.note(f"{key}={value}: {error} cannot be expanded here; it stands as it was written")
        return value


def _options(job: JobDraft, options: Options) -> None:
    job_command(job, options.pop("command", ""))
    restart = options.pop("autorestart", "unexpected").lower()
    policy = "on-failure" if restart == "unexpected" else "always" if restart in _TRUE else "never"
    job.set("restart", policy, f"autorestart={restart}")
    if options.pop("autostart", "true").lower() not in _TRUE:
        job.set("enabled", value=False, said="autostart=false")
        job.note("autostart=false: `enabled = false` lists a job and never starts it; take it out to start it by hand")
    merged = options.get("redirect_stderr", "false").lower() in _TRUE
    _output(job, options, merged=merged)
    for key, value in options.items():
        _option(job, key, value)


def job_command(job: JobDraft, command: str) -> None:
    """Set a command that no shell runs, split as supervisord does."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        job.note(f"command={command}: {str(error).lower()}")
        return
    if words:
        job.set("command", words, "command")


def _option(job: JobDraft, key: str, value: str) -> None:
    said = f"{key}={value}"
    match key:
        case "startsecs":
            if value != "0":
                job.set("settle", f"{value}s", said)
        case "exitcodes":
            codes = [as_number(code) for code in value.split(",")]
            job.set("success_exit", codes, said)
        case "stopsignal":
            job.set("stop_signal", value, said)
        case "stopwaitsecs":
            job.set("stop_timeout", f"{value}s", said)
        case "user":
            job.set("user", value, said)
        case "umask":
            job.set("umask", value, said)
        case "directory":
            job.set("cwd", value, said)
        case "environment":
            job.set("env", _variables(value), said)
        case "numprocs" | "priority":
            pass
        case _ if key in _UNSAID:
            job.note(f"{said}: {_UNSAID[key]}")
        case _ if key not in _SATISFIED:
            job.note(f"{said}: nothing here is like it")


def _output(job: JobDraft, options: Options, *, merged: bool) -> None:
    """Carry over where output goes, and its rotation; of two streams stdout decides."""
    file = options.pop("stdout_logfile", "AUTO")
    other = options.pop("stderr_logfile", "AUTO")
    size = options.pop("stdout_logfile_maxbytes", None)
    keep = options.pop("stdout_logfile_backups", None)
    for key in ("stderr_logfile_maxbytes", "stderr_logfile_backups"):
        options.pop(key, None)
    match file.lower():
        case "none" | "/dev/null" if merged or other.lower() in _NOWHERE:
            job.set("log", "null", f"stdout_logfile={file}")
        case "/dev/stdout" | "/dev/fd/1" | "/dev/stderr" | "/dev/fd/2":
            job.set("log", "inherit", f"stdout_logfile={file}")
        case _:
            if file.lower() in _NOWHERE:
                job.note(f"stdout_logfile={file}: it is kept, as stderr is")
            elif file != "AUTO":
                job.note(f"stdout_logfile={file}: output goes to {job.name}.log in the log_dir")
            if not merged and other.lower() not in _NOWHERE:
                job.set("log.stderr", "separate", "redirect_stderr=false")
            _rotation(job, size, keep)


def _rotation(job: JobDraft, size: str | None, keep: str | None) -> None:
    if size == "0":
        job.note("stdout_logfile_maxbytes=0: a file is always rotated here, by default at 10M")
    elif size is not None:
        job.set("log.max_size", size.upper().removesuffix("B"), f"stdout_logfile_maxbytes={size}")
    if keep is not None:
        job.set("log.keep", as_number(keep), f"stdout_logfile_backups={keep}")


def _variables(text: str) -> dict[str, str]:
    """Return the variables of ``KEY="value",KEY2='value',KEY3=value``, over several lines perhaps."""
    return {name: value.strip().strip("\"'") for name, value in _VARIABLE.findall(text.replace("\n", ""))}
