"""One job of the manifest: what runs, when, and how it is supervised. Made by ``core.manifest``, never changed."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from supervisor.core.checks import HealthCheck, Readiness
from supervisor.core.exits import SuccessExit
from supervisor.core.kind import Kind
from supervisor.core.schedule import Schedule
from supervisor.values import dataclass, field


class Restart(StrEnum):
    """Who is started again after an end (OTP: permanent, transient, temporary)."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class OnGiveUp(StrEnum):
    """What giving up means to the rest of the tree."""

    FENCE = "fence"
    ESCALATE = "escalate"


class Overlap(StrEnum):
    """What happens when a run is due while one of the same job is active."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    REPLACE = "replace"


class Missed(StrEnum):
    """Which due times that passed unserved are made up."""

    ONCE = "once"
    SKIP = "skip"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``run = "package.module:name"``: a function or a Worker class."""

    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``command = [...]``: a program of its own. With ``shell`` it is /bin/sh -c and one string."""

    argv: tuple[str, ...]
    shell: bool = False


Target = Run | Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most ``max_restarts`` restarts in a sliding window; None = no limit."""

    max_restarts: int | None
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The delay before restart k of a streak: min(initial * factor ** (k - 1), max), plus or minus jitter."""

    initial: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    max: timedelta = timedelta(seconds=30)
    jitter: float = 0.1
    """A share of the delay, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the ends of a job's processes are answered, and how they are brought about.

    In a named group ``limit`` is the group's, and so is ``backoff`` unless the job has its own.
    """

    restart: Restart = Restart.ALWAYS
    success_exit: SuccessExit = field(default_factory=SuccessExit)
    limit: Limit = field(default_factory=lambda: Limit(max_restarts=None, within=timedelta(seconds=60)))
    backoff: Backoff | None = field(default_factory=Backoff)
    on_give_up: OnGiveUp = OnGiveUp.FENCE
    stop_signal: int = 15
    stop_timeout: timedelta | None = timedelta(seconds=10)
    """Zero kills at once; None waits for ever."""
    settle: timedelta = timedelta(seconds=1)
    start_timeout: timedelta | None = timedelta(seconds=30)
    """Longest time from the start of a process until it is ``ready``; None waits for ever."""
    ready: Readiness | None = None
    """None: ready when its process runs; a scheduled Worker when it serves."""
    health: HealthCheck | None = None
    heartbeat: timedelta | None = None
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The rules of a scheduled job's runs; they mean nothing to a long-lived one."""

    timezone: str = "UTC"
    run_at_start: bool = False
    jitter: timedelta = timedelta(0)
    overlap: Overlap = Overlap.SKIP
    max_parallel: int | None = None
    missed: Missed = Missed.ONCE
    missed_within: timedelta | None = None
    missed_limit: int = 100
    late_after: timedelta | None = None
    expect_success_within: timedelta | None = None
    retries: int = 0
    timeout: timedelta | None = None
    """One attempt."""
    deadline: timedelta | None = None
    """All attempts of one due time."""
    pause_after_failures: int | None = None


class LogMode(StrEnum):
    """Where a job's output goes when it does not go to files of its own."""

    INHERIT = "inherit"
    JOURNAL = "journal"
    NULL = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFiles:
    """Rotating files: NAME.log, NAME.log.1 … NAME.log.<keep>, of at most ``max_size`` bytes each."""

    max_size: int = 10 * 1024 * 1024
    keep: int = 5
    timestamps: bool = True
    merge_stderr: bool = True
    """False: stderr goes to NAME.err.log beside NAME.log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a job may use; None is no limit of its own."""

    memory: int | None = None
    """Bytes of the whole job: its cgroup's, or the sum of its processes' PSS."""
    cpu: int | None = None
    """Percent of one CPU, of the whole job; only a cgroup keeps it."""
    cpu_time: timedelta | None = None
    """Of each process; then SIGXCPU, and SIGKILL for one that goes on."""
    open_files: int | None = None
    """Of each process."""
    processes: int | None = None
    """Of the whole job where it has a cgroup, else of all that its user runs (RLIMIT_NPROC, which binds no root)."""
    core: int | None = None
    """Bytes of a core dump; ``UNLIMITED`` is any."""


UNLIMITED = -1
"""As RLIM_INFINITY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a job's process is given; None leaves it as the supervisor has it."""

    env: Mapping[str, str] = field(default_factory=dict)
    """``env_file`` and ``env`` merged, in this order."""
    cwd: str = "/"
    user: str | int | None = None
    """By name or number; with it come its groups, and HOME, USER and LOGNAME."""
    group: str | int | None = None
    umask: int | None = None
    nice: int | None = None
    stdin: str | None = None
    """The path of a file; None is /dev/null."""
    limits: Limits = field(default_factory=Limits)


PROCESS_KEYS = frozenset(
    {
        "restart",
        "max_restarts",
        "within",
        "on_give_up",
        "start_timeout",
        "ready",
        "health",
        "heartbeat",
        "max_age",
    }
)
"""Keys about a process that lives on: not for a scheduled function or command."""
RUN_KEYS = frozenset({"retries"})
"""Keys about the attempts of a run: not for a Worker."""
KIND_KEYS = PROCESS_KEYS | RUN_KEYS
"""Keys of which only the target's kind tells whether they apply."""


class Origin(NamedTuple):
    """Whose table a setting is written in, ``job``, ``group`` or ``defaults``, and its ``file:line``."""

    table: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One ``[jobs.NAME]`` table, every default filled in."""

    name: str
    target: Target
    schedule: Schedule | None = None
    description: str = ""
    enabled: bool = True
    instances: int = 1
    group: str | None = None
    """The group whose strategy and limit govern it; None: it is one of its own."""
    after: tuple[str, ...] = ()
    """Jobs that must be ready before it starts."""
    supervision: Supervision = field(default_factory=Supervision)
    timing: Timing = field(default_factory=Timing)
    process: Process = field(default_factory=Process)
    log: LogFiles | LogMode = field(default_factory=LogFiles)
    notify: tuple[str, ...] = ()
    """Names of the notifiers that are told of it."""
    written: frozenset[str] = frozenset()
    """Those of ``KIND_KEYS`` that stand in the job's own table."""
    where: str = ""
    """``file:line`` of the job's table, for messages."""
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)
    """Where the settings that somebody has written stand, by key; the others are the program's own defaults."""

    def label(self, instance: int) -> str:
        """Return what people call an instance: the job's name, and its number where there are several."""
        return self.name if self.instances == 1 else f"{self.name}:{instance}"


def kind_problem(job: Job, kind: Kind) -> str | None:
    """Return what is wrong with a job now that its target's kind is known, or None.

    A scheduled function has attempts, a scheduled Worker a process that lives between its ticks: each has keys of its
    own. Those of the defaults are left out in silence where they do not apply.
    """
    if job.schedule is None:
        return None
    misplaced = sorted(job.written & (RUN_KEYS if kind is Kind.WORKER else PROCESS_KEYS))
    if not misplaced:
        return None
    where = f" ({job.where})" if job.where else ""
    what = ", ".join(f"`{key}`" for key in misplaced)
    if kind is Kind.WORKER:
        return f'job "{job.name}"{where}: {what} does not apply to a Worker, which has a restart policy; use `restart`'
    return f'job "{job.name}"{where}: {what} does not apply to a scheduled {kind.value}; use `retries`'
