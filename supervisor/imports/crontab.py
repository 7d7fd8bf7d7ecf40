"""Crontabs as cron(8) and crontab(5) of Debian and cronie describe them: a user's own, and those of the system."""

import re
import shlex

from supervisor.imports.draft import Draft, JobDraft
from supervisor.imports.origin import Origin
from supervisor.values import dataclass, field

_ASSIGNMENT = re.compile(r"""\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""")
_ENTRY = re.compile(r"\s*(@[a-z]+|\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.+)")
_USER = re.compile(r"(\S+)\s+(.+)")
_LOOKS_LIKE_FIELD = re.compile(r"[0-9*@]")
_PERCENT = re.compile(r"(?<!\\)%")
_OPENERS = frozenset(
    {"cd", "test", "[", "exec", "nice", "ionice", "nohup", "time", "env", "sudo", "flock", "command", "[["}
)
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|node|php|bash|dash|zsh|sh)[0-9.]*")
_DEFAULT_SHELLS = frozenset({"/bin/sh", "/usr/bin/sh", "sh"})


@dataclass(slots=True)
class _Lines:
    """What the lines so far have set for those that follow."""

    variables: dict[str, str] = field(default_factory=dict)
    timezone: str | None = None
    mails_to: str | None = None
    """None is whoever the crontab belongs to."""
    jitter: str | None = None
    shell: str = "/bin/sh"


def looks_like_crontab(text: str) -> bool:
    """Tell whether some line is an entry whose schedule cron would take."""
    return any(_is_entry(line) for line in text.splitlines())


def looks_like_system(origin: Origin) -> bool:
    """Tell whether entries have a user in their sixth column, as those of /etc/crontab and /etc/cron.d have."""
    if origin.path == "/etc/crontab" or "cron.d" in origin.path.split("/")[:-1]:
        return True
    if re.search(r"^#.*\bdow\s+user(?:-name)?\s+command", origin.text, re.MULTILINE):
        return True
    entries = [
        match[2].split() for line in origin.text.splitlines() if _is_entry(line) and (match := _ENTRY.match(line))
    ]
    return bool(entries) and all(len(words) > 1 and origin.is_user(words[0]) for words in entries)


def read_crontab(origin: Origin, draft: Draft, *, system: bool) -> None:
    """Make a job of each entry; lines that assign a variable count for those below them."""
    so_far = _Lines()
    for number, line in enumerate(origin.text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        entry = _ENTRY.fullmatch(line.rstrip())
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment and not _is_entry(line):
            _assign(draft, so_far, assignment[2], _unquoted(assignment[3]), f"line {number}")
        elif entry is None or not _LOOKS_LIKE_FIELD.match(bare):
            draft.note(f"line {number}: neither a variable nor an entry: {bare}")
        else:
            _entry(draft, so_far, entry[1], entry[2].lstrip(), f"line {number}", system=system)
    if draft.jobs:
        _differences(draft)


def _is_entry(line: str) -> bool:
    entry = _ENTRY.fullmatch(line.rstrip())
    if entry is None or not _LOOKS_LIKE_FIELD.match(entry[1]):
        return False
    return "=" not in entry[1]


def _assign(draft: Draft, so_far: _Lines, name: str, value: str, where: str) -> None:
    match name:
        case "SHELL":
            so_far.shell = value
        case "MAILTO":
            so_far.mails_to = value
            if value:
                draft.note(
                    f"{where}, MAILTO={value}: output goes to the job's log (`jobvisor logs`); what is mailed, by the "
                    "program `mail`, is that a job fails and that it is well again"
                )
        case "CRON_TZ":
            so_far.timezone = value
        case "RANDOM_DELAY":
            so_far.jitter = f"{value}m" if value.isdigit() and int(value) else None
        case "MAILFROM" | "LOGNAME" | "USER" | "CONTENT_TYPE" | "CONTENT_TRANSFER_ENCODING":
            draft.note(f"{where}, {name}={value}: has no meaning here")
        case _:
            so_far.variables[name] = value


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _entry(draft: Draft, so_far: _Lines, schedule: str, rest: str, where: str, *, system: bool) -> None:
    user = None
    command = rest
    if system:
        split = _USER.fullmatch(rest)
        if split is None:
            draft.note(f"{where}: a user and no command: {rest}")
            return
        user, command = split[1], split[2]
    job = draft.job(_name_of(command))
    if not job.set("cron", " ".join(schedule.split()), f"{where}, {schedule}"):
        draft.drop(job)
        draft.note(f"{job.name}: left out, as it would have no schedule: {command}")
        return
    if so_far.timezone:
        job.set("timezone", so_far.timezone, f"CRON_TZ={so_far.timezone}")
    if so_far.jitter:
        job.set("jitter", so_far.jitter, "RANDOM_DELAY")
    _command(job, so_far, command)
    if so_far.mails_to:
        to = [each for each in re.split(r"[,\s]+", so_far.mails_to) if each]
        mail = {"on": ["failure", "recovery"], "command": ["mail", "-s", "a job of Jobvisor", *to]}
        job.set("notify", [draft.notifier("mail", mail)], "MAILTO")
    elif so_far.mails_to is None:
        draft.note(
            "cron mails what a job prints to the crontab's owner; here it goes to the job's log (`jobvisor logs`), "
            "failures stand in `jobvisor errors`, and a [notify.NAME] tells people of them"
        )
    if user is not None:
        job.set("user", user, f"user {user}")
    if so_far.variables:
        job.set("env", dict(so_far.variables), "variables")
    if "HOME" in so_far.variables:
        job.set("cwd", so_far.variables["HOME"], "HOME")


def _command(job: JobDraft, so_far: _Lines, written: str) -> None:
    """Set the command; what stands behind its first bare % is its standard input, further ones are ends of lines."""
    command, *lines = _PERCENT.split(written)
    command = command.replace("\\%", "%")
    if lines:
        text = "\n".join(lines).replace("\\%", "%").removesuffix("\n")  # cron ends the last line itself
        command = f"{{ {command}\n}} <<'END_OF_INPUT'\n{text}\nEND_OF_INPUT\n"
    if so_far.shell in _DEFAULT_SHELLS:
        job.set_shell_command(command)
    else:
        job.table["command"] = [so_far.shell, "-c", command]


def _name_of(command: str) -> str:
    """Return what a person may call a command line: its program, or the script of an interpreter."""
    for part in re.split(r"[;&|({]+", _PERCENT.split(command)[0]):
        try:
            words = shlex.split(part)
        except ValueError:
            words = part.split()
        words = [
            word for word in words if "=" not in word and not word.isdigit() and not word.startswith((">", "<", "-"))
        ]
        while words and words[0] in _OPENERS - {"cd", "test", "[", "[["}:
            words.pop(0)
        if not words or words[0] in _OPENERS:
            continue
        program = words[0].rpartition("/")[2]
        if program == "run-parts":
            return words[-1].rpartition("/")[2]
        if _INTERPRETERS.fullmatch(program) and len(words) > 1:
            program = words[1].rpartition("/")[2]
        return re.sub(r"\.(py|sh|pl|rb|js|php)$", "", program)
    return "job"


def _differences(draft: Draft) -> None:
    if any("timezone" not in job and job["cron"] != "@reboot" for job in draft.jobs.values()):
        draft.set_supervisor("timezone", "local", "the system's time zone")
    draft.note(
        'an entry that is due while its last run goes on is skipped, and recorded; overlap = "allow" is as cron does'
    )
    draft.note('a run missed while nothing ran is made up once; missed = "skip" is as cron does')
    if any("user" in job for job in draft.jobs.values()):
        draft.note("a job's `user` needs a supervisor that runs as root; where all jobs have one user, run it as that")
    if any("cwd" not in job for job in draft.jobs.values()):
        draft.note(
            "cron starts a command in the user's home folder, Jobvisor in the manifest's: `cwd` says another one"
        )
    if any("PATH" not in job.get("env", {}) for job in draft.jobs.values()):
        draft.note("cron's PATH is /usr/bin:/bin; a job here has that of the supervisor")
