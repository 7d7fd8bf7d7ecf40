"""The whole manifest as a value."""

from dataclasses import dataclass
from datetime import timedelta

from supervisor.core.job import Job, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``[supervisor]``, every default filled in; paths are absolute."""

    preload: tuple[str, ...] = ()
    state_dir: str
    log_dir: str
    socket: str
    timezone: str = "UTC"
    max_running: int | None = None
    vitals: timedelta | None = timedelta(seconds=10)
    pythonpath: tuple[str, ...] = ()
    log_level: str = "INFO"
    log_file: str | None = None
    log_max_size: int = 10 * 1024 * 1024
    log_keep: int = 5
    stop_timeout: timedelta = timedelta(seconds=30)
    root_limit: Limit = Limit(max_restarts=0, within=timedelta(seconds=60))  # noqa: RUF009  # frozen
    history_keep: timedelta = timedelta(days=30)
    history_keep_runs: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A jobs.toml that holds: its settings and its jobs in their order."""

    path: str
    folder: str
    settings: Settings
    jobs: tuple[Job, ...]
    warnings: tuple[str, ...] = ()
