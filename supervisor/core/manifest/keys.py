"""Every key of the manifest: how it is read, what it means, which jobs it is for.

No library parses this: those at hand stop at the first error or cannot name the nearest word, and cost the supervisor
more memory than all of its own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from supervisor.core.job import LogMode, Missed, OnGiveUp, Overlap, Restart
from supervisor.core.manifest import readers as read

EVERY_LEAST = timedelta(milliseconds=100)


class Only(StrEnum):
    """The kind of job that a key is for."""

    ANY = "any job"
    SCHEDULED = "a scheduled job"
    RUN = "`run`"
    COMMAND = "`command`"
    EVERY = "`every`"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its reader, what it means, which jobs it is for, and whether it is built."""

    read: read.Reader
    meaning: str
    only: Only = Only.ANY
    is_supported: bool = True
    inside: Mapping[str, "Key"] | None = None
    """The keys of its table, where it may be one."""


def _later(meaning: str) -> Key:
    return Key(read.text, meaning, is_supported=False)


BACKOFF = {
    "initial": Key(read.duration(), "delay before the first restart of a streak"),
    "factor": Key(read.number(1, 1000), "growth from one restart to the next"),
    "max": Key(read.duration(), "longest delay"),
    "jitter": Key(read.number(0, 1), "share of the delay by which it varies, both ways"),
}
LOG = {
    "max_size": Key(read.size, "size at which a file is rotated"),
    "keep": Key(read.whole(0, 1000), "rotated files that are kept"),
    "timestamps": Key(read.flag, "a UTC time before each line"),
    "stderr": Key(read.text, '"merge" into the same file, or "separate"'),
}
OWN_LOG = {
    "level": Key(read.text, "least level that is written"),
    "file": Key(read.filled, "a file beside stderr"),
    "max_size": Key(read.size, "size at which the file is rotated"),
    "keep": Key(read.whole(0, 1000), "rotated files that are kept"),
}
HISTORY = {
    "keep": Key(read.duration(), "age to which runs are kept"),
    "keep_runs": Key(read.whole(1), "runs that are kept of a job"),
}

JOB = {
    "description": Key(read.text, "shown by status"),
    "enabled": Key(read.flag, "false: listed, never started"),
    "run": Key(read.target, '"package.module:name", a function or a Worker class'),
    "args": Key(read.array, "positional arguments of `run`", Only.RUN),
    "kwargs": Key(read.mapping, "keyword arguments of `run`", Only.RUN),
    "command": Key(read.command, "a program and its arguments, or one string split as a shell would"),
    "shell": Key(read.flag, "true: /bin/sh runs the string", Only.COMMAND),
    "every": Key(read.duration(least=EVERY_LEAST), "from start to start, drift-free"),
    "delay": Key(read.duration(least=EVERY_LEAST), "from the end of a run to the next start"),
    "cron": Key(read.filled, "five fields or an @alias"),
    "at": Key(read.instant, "once"),
    "timezone": Key(read.text, 'IANA name, or "local"', Only.SCHEDULED),
    "align": Key(read.text, '"clock": the grid stands on the Unix epoch', Only.EVERY),
    "offset": Key(read.duration(zero=True), "shifts the grid", Only.EVERY),
    "run_at_start": Key(read.flag, "run also at first sight", Only.SCHEDULED),
    "jitter": Key(read.duration(zero=True), "delays each start by up to this", Only.SCHEDULED),
    "overlap": Key(read.one_of(Overlap), "due while a run is active", Only.SCHEDULED),
    "max_parallel": Key(read.whole(1, 1000), 'runs side by side with overlap = "allow"', Only.SCHEDULED),
    "missed": Key(read.one_of(Missed), "which missed due times are made up", Only.SCHEDULED),
    "missed_within": Key(read.duration(), "older ones are not made up", Only.SCHEDULED),
    "missed_limit": Key(read.whole(1, 10_000), 'at most so many with missed = "all"', Only.SCHEDULED),
    "late_after": Key(read.duration(), "not started or still running: late", Only.SCHEDULED),
    "expect_success_within": Key(read.duration(), "no good run for so long: late", Only.SCHEDULED),
    "retries": Key(read.whole(0, 1000), "further attempts of a failed run", Only.SCHEDULED),
    "timeout": Key(read.duration(), "longest attempt", Only.SCHEDULED),
    "deadline": Key(read.duration(), "longest time for all attempts of a due time", Only.SCHEDULED),
    "pause_after_failures": Key(read.whole(1, 10_000), "pause after so many in a row", Only.SCHEDULED),
    "restart": Key(
        read.one_of(
            Restart,
            {"permanent": Restart.ALWAYS, "transient": Restart.ON_FAILURE, "temporary": Restart.NEVER},
        ),
        "who is started again after an end",
    ),
    "success_exit": Key(read.success_exit, "exit codes and signals that count as clean"),
    "max_restarts": Key(read.whole(0, 1_000_000), "restarts allowed in the window"),
    "within": Key(read.duration(), "the sliding window"),
    "on_give_up": Key(read.one_of(OnGiveUp), "what giving up means to the rest"),
    "backoff": Key(read.text, 'delay before a restart or retry, or "none"', inside=BACKOFF),
    "instances": Key(read.whole(1, 1000), "NAME:1 … NAME:n, each a process of its own"),
    "stop_signal": Key(read.signal, "sent first"),
    "stop_timeout": Key(read.duration(zero=True, words=("none",)), "then KILL"),
    "settle": Key(read.duration(), "alive this long is come up"),
    "env": Key(read.environment, "environment variables"),
    "env_file": Key(read.filled, "a file of NAME=value lines"),
    "cwd": Key(read.filled, "working folder"),
    "log": Key(read.one_of(LogMode), "where output goes", inside=LOG),
    "max_age": _later("restart after so long"),
    "group": _later("the group whose strategy and limit govern this job"),
    "after": _later("jobs that must be ready first"),
    "start_timeout": _later("for ready"),
    "ready": _later("readiness probe"),
    "health": _later("health probe"),
    "heartbeat": _later("hung without it"),
    "user": _later("user of the process"),
    "group_id": _later("group of the process"),
    "umask": _later("file mode mask"),
    "nice": _later("priority"),
    "stdin": _later("standard input"),
    "limits": _later("resource limits"),
    "notify": _later("who is told"),
}
WHAT = ("run", "command")
WHEN = ("every", "delay", "cron", "at")
NOT_A_DEFAULT = frozenset({*WHAT, *WHEN, "args", "kwargs", "shell", "group", "description"})

SUPERVISOR = {
    "preload": Key(read.strings, "modules imported once and shared by every job"),
    "state_dir": Key(read.filled, "history, checkpoints, lock"),
    "log_dir": Key(read.filled, "job output"),
    "socket": Key(read.filled, "control socket"),
    "socket_group": _later("a group whose members may control the supervisor"),
    "timezone": Key(read.text, "for jobs without their own"),
    "max_running": Key(read.whole(1, 100_000), "scheduled runs at once"),
    "vitals": Key(read.duration(least=EVERY_LEAST, words=("off",)), "how often CPU and memory are sampled"),
    "pythonpath": Key(read.strings, "more folders for sys.path of the jobs"),
    "log": Key(read.mapping, "the supervisor's own log", inside=OWN_LOG),
    "stop_timeout": Key(read.duration(), "the whole shutdown"),
    "max_restarts": Key(read.whole(0, 1_000_000), "of the root group"),
    "within": Key(read.duration(), "of the root group"),
    "history": Key(read.mapping, "how long runs are kept", inside=HISTORY),
}
TOP = ("supervisor", "defaults", "jobs", "include", "groups", "notify")
TOP_LATER = frozenset({"groups", "notify"})
