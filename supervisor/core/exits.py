"""How a job's process ended, and whether that counts as clean."""

import signal as signals
from datetime import timedelta

from supervisor.core.instants import ZERO
from supervisor.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Code:
    """The process exited by itself with this status, 0 to 255."""

    code: int


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal ended the process."""

    signal: int
    core_dumped: bool = False
    was_oom_killed: bool = False
    """The kernel ended something of the job because the memory was used up (cgroup memory.events)."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The process did not get as far as its target: a step of its start failed.

    ``step`` is ``fork``, ``chdir``, ``exec``, ``import`` and so on; ``errno`` is 0 where the system gave none.
    """

    step: str
    errno: int
    message: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody saw the end: the fork server died, or the machine."""

    reason: str


Exit = Code | Signalled | NotStarted | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run cost, measured where it ran."""

    cpu: timedelta = ZERO
    max_rss: int = 0
    """Peak resident memory of the first process, in bytes."""


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """A Python exception that ended a run or a tick, as the job's process reported it."""

    type: str
    message: str
    file: str | None = None
    """File of the innermost frame in the job's own code."""
    line: int | None = None
    traceback: str = ""

    @property
    def fingerprint(self) -> str:
        """The type and the place: equal for failures that belong together."""
        return f"{self.type}@{self.file}:{self.line}" if self.file else self.type

    @property
    def brief(self) -> str:
        """One short phrase for a table: ``ValueError importer.py:42``."""
        if self.file is None:
            return self.type
        return f"{self.type} {self.file.rpartition('/')[2]}:{self.line}"


@dataclass(frozen=True, slots=True)
class SuccessExit:
    """The exit codes and signals that count as a clean end (systemd's SuccessExitStatus)."""

    codes: frozenset[int] = field(default_factory=lambda: frozenset({0}))
    signals: frozenset[int] = frozenset()


def is_clean(ended: Exit, success: SuccessExit) -> bool:
    """Tell whether an end counts as a clean one."""
    match ended:
        case Code(code=code):
            return code in success.codes
        case Signalled(signal=number):
            return number in success.signals
        case NotStarted() | Lost():
            return False


def signal_name(number: int) -> str:
    """Return ``SIGKILL`` for 9; real-time signals as ``SIGRTMIN+7``."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signals.SIGRTMIN}" if number > signals.SIGRTMIN else f"signal {number}"


def describe(ended: Exit) -> str:
    """Return a short phrase for an end: ``exit 1``, ``SIGKILL``, ``chdir: No such file or directory``."""
    match ended:
        case Code(code=code):
            return f"exit {code}"
        case Signalled(was_oom_killed=True):
            return "OOMKilled"
        case Signalled(signal=number, core_dumped=core_dumped):
            return signal_name(number) + (" (core dumped)" if core_dumped else "")
        case NotStarted(step=step, message=message):
            return f"{step}: {message}"
        case Lost(reason=reason):
            return f"lost: {reason}"
