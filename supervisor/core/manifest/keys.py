"""Every key of the manifest, one table of keys for each of its tables: what it takes, its default, what it means.

The parser is driven by these tables, and so can be a JSON schema or a page of documentation. No library parses the
manifest: those at hand stop at the first error or cannot name the nearest word, and cost the supervisor more memory
than all of its own code.
"""

from datetime import timedelta

from supervisor.core.checks import OnUnhealthy, Told
from supervisor.core.job import UNLIMITED, LogMode, Missed, OnGiveUp, Overlap, Restart
from supervisor.core.manifest.probes import Endpoint, Pattern, Url
from supervisor.core.manifest.readers import (
    Account,
    Choice,
    Duration,
    Flag,
    Inside,
    Instant,
    Number,
    Percent,
    Several,
    Signal,
    Size,
    Stdin,
    Text,
    Umask,
    WebAddress,
    Whole,
    choice_of,
)
from supervisor.core.manifest.tables import Key, Keys, Only
from supervisor.core.manifest.targets import Arguments, CommandLine, Environment, Exits, Module, Target
from supervisor.core.notifier import On
from supervisor.core.tree.group import Strategy

_SOONEST = timedelta(milliseconds=100)
_FILLED = Text(filled=True)
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")


BACKOFF: Keys = {
    "initial": Key(Duration(), "delay before the first restart of a streak", '"500ms"'),
    "factor": Key(Number(1, 1000), "growth from one restart to the next", "2"),
    "max": Key(Duration(), "longest delay; at least `initial`", '"30s"'),
    "jitter": Key(Number(0, 1), "share of the delay by which it varies, both ways", "0.1"),
}
LOG: Keys = {
    "max_size": Key(Size(), "size at which a file is rotated", '"10M"'),
    "keep": Key(Whole(0, 1000), "rotated files that are kept", "5"),
    "timestamps": Key(Flag(), "a UTC time before each line", "true"),
    "stderr": Key(
        Choice(words={"merge": True, "separate": False}), "into the same file, or into one of its own", '"merge"'
    ),
}
OWN_LOG: Keys = {
    "level": Key(
        Choice(words={level: level for level in _LEVELS}, synonyms={level.lower(): level for level in _LEVELS}),
        "least level that is written",
        '"INFO"',
    ),
    "file": Key(_FILLED, "a file beside stderr"),
    "max_size": Key(Size(), "size at which the file is rotated", '"10M"'),
    "keep": Key(Whole(0, 1000), "rotated files that are kept", "5"),
}
HISTORY: Keys = {
    "keep": Key(Duration(), "age to which runs are kept", '"30d"'),
    "keep_runs": Key(Whole(1, 10_000_000), "runs that are kept of a job", "1000"),
}

LIMITS: Keys = {
    "memory": Key(Size(), "of the whole job; over it the job is stopped, and the run failed"),
    "cpu": Key(Percent(100_000), 'of one CPU, for the whole job ("150%" is one and a half); needs a cgroup of its own'),
    "cpu_time": Key(Duration(least=timedelta(seconds=1)), "of each process, in whole seconds; then SIGXCPU"),
    "open_files": Key(Whole(8, 1_000_000_000), "of each process"),
    "processes": Key(Whole(1, 4_000_000), "of the whole job in a cgroup, else of all that its user runs"),
    "core": Key(Size(words={"0": 0, "unlimited": UNLIMITED}), "bytes of a core dump"),
}

WHAT: Keys = {
    "run": Key(Target(), '"package.module:name": a function, or a Worker class'),
    "command": Key(CommandLine(), "a program and its arguments, or one string that is split as a shell would"),
}
WHEN: Keys = {
    "every": Key(Duration(least=_SOONEST), "from start to start, drift-free"),
    "delay": Key(Duration(least=_SOONEST), "from the end of a run to the next start"),
    "cron": Key(_FILLED, "five fields or an @alias"),
    "at": Key(Instant(), "once; without offset in the job's time zone"),
}
ONE_JOB: Keys = {
    **WHAT,
    "args": Key(Arguments(list), "positional arguments of the function or the Worker", "[]", Only.RUN),
    "kwargs": Key(Arguments(dict), "keyword arguments of the function or the Worker", "{}", Only.RUN),
    "shell": Key(Flag(), "/bin/sh runs the command, which is one string", "false", Only.COMMAND),
    **WHEN,
    "group": Key(_FILLED, "the group whose strategy and limit govern this job"),
}
"""What one job is; it cannot be a default of all."""
TIMING: Keys = {
    "timezone": Key(_FILLED, 'IANA name or "local"; default: that of [supervisor]', None, Only.SCHEDULED),
    "align": Key(Choice(words={"clock": True}), "the grid stands on the Unix epoch", None, Only.EVERY),
    "offset": Key(Duration(zero=True), "shifts the grid by less than `every`", '"0s"', Only.EVERY),
    "run_at_start": Key(Flag(), "run also at the first sight of the job", "false", Only.SCHEDULED),
    "jitter": Key(Duration(), "delays each start by up to this", None, Only.SCHEDULED),
    "overlap": Key(choice_of(Overlap), "what a due time does while a run is active", '"skip"', Only.SCHEDULED),
    "max_parallel": Key(Whole(1, 1000), 'runs side by side with overlap = "allow"', None, Only.SCHEDULED),
    "missed": Key(choice_of(Missed), "which missed due times are made up", '"once"', Only.SCHEDULED),
    "missed_within": Key(Duration(), "older ones are not made up", None, Only.SCHEDULED),
    "missed_limit": Key(Whole(1, 10_000), 'how many are made up with missed = "all"', "100", Only.SCHEDULED),
    "late_after": Key(Duration(), "not started, or still running, so long past its due time", None, Only.SCHEDULED),
    "expect_success_within": Key(Duration(), "no good run for so long", None, Only.SCHEDULED),
    "retries": Key(Whole(0, 1000), "further attempts of a failed run", "0", Only.SCHEDULED),
    "timeout": Key(Duration(), "longest attempt", None, Only.SCHEDULED),
    "deadline": Key(Duration(), "longest time for all attempts of a due time", None, Only.SCHEDULED),
    "pause_after_failures": Key(Whole(1, 10_000), "pause after so many failed runs in a row", None, Only.SCHEDULED),
}
PROBES: Keys = {
    "http": Key(Url(), "an address that answers a GET with a status of 200 to 399"),
    "tcp": Key(Endpoint(), "host:port that takes connections"),
    "command": Key(CommandLine(), "a program that ends with 0, run as the job is"),
}
SUPERVISION: Keys = {
    "restart": Key(
        choice_of(Restart, permanent=Restart.ALWAYS, transient=Restart.ON_FAILURE, temporary=Restart.NEVER),
        "who is started again after an end",
        '"always"',
        Only.LASTING,
    ),
    "success_exit": Key(Exits(), "exit codes and signals that count as a clean end", "[0]"),
    "max_restarts": Key(
        Whole(0, 1_000_000),
        'restarts allowed in the window; default: no limit while back-off is on, 5 with backoff = "none"',
        None,
        Only.LASTING,
    ),
    "within": Key(Duration(), "the sliding window", '"60s"', Only.LASTING),
    "on_give_up": Key(choice_of(OnGiveUp), "what giving up means to the rest", '"fence"', Only.LASTING),
    "backoff": Key(
        Choice(words={"none": None}, otherwise="a table"), "delay before a restart or a retry", "{}", inside=BACKOFF
    ),
    "stop_signal": Key(Signal(), "sent first", '"TERM"'),
    "stop_timeout": Key(Duration(zero=True, word="none"), 'then KILL; "0s": at once; "none": never', '"10s"'),
    "settle": Key(Duration(), "alive this long is come up, for the command that waits", '"1s"'),
    "max_age": Key(Duration(), "a process that is older is restarted, uncharged", None, Only.LASTING),
    "after": Key(Several(_FILLED, "names of jobs"), "jobs that must be ready first", "[]"),
    "start_timeout": Key(Duration(word="none"), "longest time to get `ready`", '"30s"', Only.LASTING),
    "ready": Key(
        Choice(words={"notify": Told.NOTIFY}, otherwise="a table with a probe"),
        "when the job has come up; default: when its process runs",
        None,
        Only.LASTING,
        inside={**PROBES, "log": Key(Pattern(), "a regular expression that a line of output matches")},
    ),
    "health": Key(
        Inside(),
        "is looked at from when the job is ready",
        None,
        Only.LASTING,
        inside={
            **PROBES,
            "every": Key(Duration(least=_SOONEST), "from look to look", '"10s"'),
            "timeout": Key(Duration(), "a look that takes longer is bad", '"2s"'),
            "failures": Key(Whole(1, 1000), "bad looks in a row that act", "3"),
            "action": Key(choice_of(OnUnhealthy), "what they do", '"restart"'),
        },
    ),
    "heartbeat": Key(Duration(least=5 * _SOONEST), "a job that calls in less often is hung", None, Only.LASTING),
}
PROCESS: Keys = {
    "env": Key(Environment(), "environment variables", "{}"),
    "env_file": Key(_FILLED, "a file of NAME=value lines; `env` wins over it"),
    "cwd": Key(_FILLED, "working folder; default: the manifest's", '"."'),
    "user": Key(Account("user"), "user of the process, by name or number; needs root"),
    "group_id": Key(Account("group"), "group of the process, by name or number; default: that of `user`"),
    "umask": Key(Umask(), "file mode mask, octal digits in quotes; default: the supervisor's"),
    "nice": Key(Whole(-20, 19), "priority, from most to least; below the supervisor's own only for root"),
    "stdin": Key(Stdin(), '"null", or "file:PATH"', '"null"'),
    "limits": Key(Inside(), "what the job may use", "{}", inside=LIMITS),
}
JOB: Keys = {
    "description": Key(Text(), "shown by status", '""'),
    "enabled": Key(Flag(), "false: listed, never started", "true"),
    **ONE_JOB,
    **TIMING,
    **SUPERVISION,
    "instances": Key(Whole(1, 1000), "NAME:1 … NAME:n, each a process of its own", "1"),
    **PROCESS,
    "log": Key(
        Choice(words={mode.value: mode for mode in LogMode}, otherwise="a table"),
        'where output goes: own files, the supervisor\'s ("inherit"), systemd\'s ("journal"), or nowhere ("null")',
        "{}",
        inside=LOG,
    ),
    "notify": Key(Several(_FILLED, "names of [notify.NAME] tables"), "who is told of it", "[]"),
}

SUPERVISOR: Keys = {
    "preload": Key(
        Several(Module(), "names of modules"), "imported once, in the fork server, and shared by every job", "[]"
    ),
    "state_dir": Key(_FILLED, "history and lock; default: $STATE_DIRECTORY, else .jobvisor beside the manifest"),
    "log_dir": Key(_FILLED, "job output; default: $LOGS_DIRECTORY, else logs in state_dir"),
    "socket": Key(_FILLED, "control socket; default: control.sock in $RUNTIME_DIRECTORY, else in state_dir"),
    "socket_group": Key(Account("group"), "a group, by name or number, whose members may control the supervisor too"),
    "timezone": Key(_FILLED, 'of jobs without their own: IANA name or "local"', '"UTC"'),
    "max_running": Key(Whole(1, 100_000), "at most this many scheduled runs at once"),
    "vitals": Key(Duration(least=_SOONEST, word="off"), "how often CPU and memory of the jobs are sampled", '"10s"'),
    "pythonpath": Key(Several(_FILLED, "paths"), "more folders for sys.path of the jobs", "[]"),
    "log": Key(Inside(), "the supervisor's own log", "{}", inside=OWN_LOG),
    "stop_timeout": Key(Duration(), "the whole shutdown; then everything left is killed", '"30s"'),
    "max_restarts": Key(Whole(0, 1_000_000), "restarts allowed to the root group", "0"),
    "within": Key(Duration(), "the root group's sliding window", '"60s"'),
    "history": Key(Inside(), "how long the runs of a job are kept, whichever is less", "{}", inside=HISTORY),
}
GROUP: Keys = {
    "strategy": Key(choice_of(Strategy), "who is restarted with a member that fails", '"one_for_one"'),
    "max_restarts": Key(Whole(0, 1_000_000), "restarts allowed to all members together; default as that of a job"),
    "within": Key(Duration(), "the sliding window", '"60s"'),
    "backoff": Key(Choice(words={"none": None}, otherwise="a table"), "delay before a restart", "{}", inside=BACKOFF),
    "group": Key(_FILLED, "the group of which this one is a member"),
    "on_give_up": Key(choice_of(OnGiveUp), "what giving up means to the parent group", '"fence"'),
}
NOTIFY: Keys = {
    "on": Key(Several(choice_of(On), "words"), "what is told", '["failure", "recovery", "late", "give_up"]'),
    "failures": Key(Whole(1, 10_000), "failed runs in a row that make a failure worth telling", "1"),
    "command": Key(CommandLine(), "a program, which gets the notice as JSON on its stdin; no shell"),
    "webhook": Key(WebAddress(), "an address, to which the notice is sent as JSON by POST"),
    "ping": Key(Flag(), "tell of each run's start, success and failure instead, as healthchecks.io wants it", "false"),
    "timeout": Key(Duration(), "of one try", '"10s"'),
    "retries": Key(Whole(0, 100), "further tries, with growing pauses between them", "5"),
}
NAMED: Keys = {
    "jobs": Key(Inside(), "[jobs.NAME], a table for each job", each=JOB),
    "groups": Key(Inside(), "[groups.NAME], jobs that are supervised together", each=GROUP),
    "notify": Key(Inside(), "[notify.NAME], who is told, of what, and how", each=NOTIFY),
}
"""The tables that an included file may add to."""
TOP: Keys = {
    "supervisor": Key(Inside(), "the supervisor itself", inside=SUPERVISOR),
    "defaults": Key(Inside(), "what every job starts from", inside=JOB),
    "include": Key(Several(_FILLED, "paths or patterns"), "more files of jobs", "[]"),
    **NAMED,
}
