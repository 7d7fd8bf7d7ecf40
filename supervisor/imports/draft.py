"""A manifest in the making: jobs of keys that the manifest takes, and notes of all that it does not."""

import re
import shlex
from collections.abc import Mapping
from datetime import UTC
from itertools import count
from typing import Any

from supervisor.core.manifest.keys import JOB, SUPERVISOR
from supervisor.core.manifest.readers import ReadError
from supervisor.core.manifest.tables import Key, Keys
from supervisor.core.schedule import ScheduleError, parse_cron, zone
from supervisor.values import dataclass, field

LONGEST_NAME = 64
_MOST_DIGITS = 18
_SHELL = re.compile(r"""[|&;<>()$`\\"'*?\[\]#~%!{}\n]|^\s*\w+=""")
"""What a shell would make something else of: POSIX, Shell Command Language, 2.2."""


@dataclass(slots=True)
class Draft:
    """What a file has become so far."""

    supervisor: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    notifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say what was lost, and why, or is not the same here; once, on one line that harms no terminal."""
        line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
        if line not in self.notes:
            self.notes.append(line)

    def job(self, wanted: str, *, called: str = "") -> "JobDraft":
        """Return a new job, named as is wanted where a name may be so and is free; ``called`` is for notes."""
        base = _as_name(wanted)
        name, number = base, 1
        while name in self.jobs:
            number += 1
            name = f"{base[: LONGEST_NAME - 5]}-{number}"
        self.jobs[name] = {}
        return JobDraft(self, name, self.jobs[name], called or name)

    def drop(self, job: "JobDraft") -> None:
        """Take a job out again: nothing of it could be said."""
        del self.jobs[job.name]

    def set_supervisor(self, key: str, value: Any, said: str) -> None:
        """Set a key of [supervisor], or note why the manifest does not take it."""
        _put(self, self.supervisor, SUPERVISOR, key, value, said)

    def set_default(self, key: str, value: Any, said: str) -> None:
        """Set a key of [defaults], or note why the manifest does not take it."""
        _put(self, self.defaults, JOB, key, value, said)

    def group(self, name: str) -> None:
        """Make a group, once."""
        if name not in self.groups:
            self.groups.append(name)

    def notifier(self, wanted: str, table: Mapping[str, Any]) -> str:
        """Return the name of a notifier: of one that is there, where it is the same, else of a new one."""
        names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
        name = next(each for each in names if self.notifiers.get(each, table) == table)
        self.notifiers[name] = dict(table)
        return name

    def share(self) -> None:
        """Move the variables and the notifiers that all jobs have alike into [defaults]."""
        for key in ("env", "notify"):
            values = [job.get(key) for job in self.jobs.values()]
            if len(values) > 1 and values[0] and all(each == values[0] for each in values):
                self.defaults[key] = values[0]
                for job in self.jobs.values():
                    del job[key]

    def document(self) -> dict[str, Any]:
        """Return the manifest, the keys of each job in the order in which the manual tells them."""
        parts: dict[str, dict[str, Any]] = {
            "supervisor": self.supervisor,
            "defaults": self.defaults,
            "groups": {name: {} for name in self.groups},
            "jobs": {name: _readable(job) for name, job in self.jobs.items()},
            "notify": self.notifiers,
        }
        return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, slots=True)
class JobDraft:
    """One job of a draft."""

    draft: Draft
    name: str
    table: dict[str, Any]
    called: str

    def set(self, key: str, value: Any, said: str) -> bool:
        """Set a key (``log.keep`` of a table in it), or note why the manifest does not take it.

        ``said`` is how the file that is read puts it: ``stopsignal=TERM``.
        """
        return _put(self.draft, self.table, JOB, key, value, f"{self.called}: {said}")

    def note(self, text: str) -> None:
        """Say what was lost of this job."""
        self.draft.note(f"{self.called}: {text}")

    def set_shell_command(self, command: str) -> None:
        """Set a command that a shell has run: by a shell, where it would make a difference."""
        if _SHELL.search(command):
            self.table.update({"command": command, "shell": True})
        else:
            self.table["command"] = command.split()


def _readable(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job in the usual order, with a command that needs no quotes as one string."""
    ordered = {key: job[key] for key in JOB if key in job}
    command = job.get("command")
    if isinstance(command, list) and shlex.join(command) == " ".join(command):
        ordered["command"] = " ".join(command)
    return ordered


def as_number(text: str) -> int | str:
    """Return the whole number that a text says, else the text: the manifest then says what it had expected."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < _MOST_DIGITS else text


def _put(draft: Draft, table: dict[str, Any], keys: Keys, key: str, value: Any, said: str) -> bool:
    refusal = _refusal(keys, key, value)
    if refusal:
        draft.note(f"{said}: {refusal}")
        return False
    name, _, inner = key.partition(".")
    if not inner:
        table[name] = value
    elif isinstance(table.setdefault(name, {}), dict):
        table[name][inner] = value
    return True


def _refusal(keys: Keys, path: str, value: Any) -> str | None:
    """Return why the manifest of this version does not take a value for a key, or None."""
    found: Keys | None = keys
    key: Key | None = None
    for name in path.split("."):
        key = (found or {}).get(name)
        if key is None:
            return f"no key `{path}` takes it"
        found = key.inside
    assert key is not None
    if key.inside is not None and isinstance(value, Mapping):
        refusals = [_refusal(keys, f"{path}.{name}", inner) for name, inner in value.items()]
        return next((each for each in refusals if each), None)
    try:
        key.reader.read(value)
        if path == "cron":
            parse_cron(value, UTC)
        elif path == "timezone" and value != "local":
            zone(value)
    except ReadError as error:
        return f"`{path}`: {error.faults[0].text}"
    except ScheduleError as error:
        return str(error)
    return None


def _as_name(wanted: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", wanted).lstrip("_-").rstrip("-")
    return name[:LONGEST_NAME] or "job"
