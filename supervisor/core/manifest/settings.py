"""``[supervisor]`` and the whole manifest, as values."""

from collections.abc import Callable, Mapping
from datetime import timedelta, tzinfo
from typing import Any

from supervisor.core.job import Job, Limit
from supervisor.core.notifier import Notifier
from supervisor.core.tree.group import Group
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the parser cannot know by itself: folders, and the doors to time zones and files."""

    path: str
    folder: str
    state_dir: str
    """The default, as are the next two; relative ones begin at the folder."""
    log_dir: str | None
    socket: str | None
    zone: Callable[[str], tzinfo]
    """A time zone by name, ``"local"`` included; ``ScheduleError`` where there is none."""
    read: Callable[[str], str]
    """The text of a file; ``ValueError`` says why it cannot be had."""
    join: Callable[[str, str], str]
    """Joins a folder and a path, as ``os.path.join`` followed by ``normpath``."""

    def absolute(self, path: str) -> str:
        """Return a path of the manifest, which begins at its folder."""
        return self.join(self.folder, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``[supervisor]``, every default filled in; paths are absolute."""

    preload: tuple[str, ...] = ()
    state_dir: str
    log_dir: str
    socket: str
    socket_group: str | int | None = None
    timezone: str = "UTC"
    max_running: int | None = None
    vitals: timedelta | None = timedelta(seconds=10)
    """None: never sampled."""
    pythonpath: tuple[str, ...] = ()
    log_level: str = "INFO"
    log_file: str | None = None
    log_max_size: int = 10 * 1024 * 1024
    log_keep: int = 5
    stop_timeout: timedelta = timedelta(seconds=30)
    root_limit: Limit = Limit(max_restarts=0, within=timedelta(seconds=60))  # frozen
    history_keep: timedelta = timedelta(days=30)
    history_keep_runs: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A jobs.toml that holds: its settings, and its jobs and groups in their order."""

    path: str
    folder: str
    settings: Settings
    jobs: tuple[Job, ...]
    groups: tuple[Group, ...] = ()
    notifiers: tuple[Notifier, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences about what is allowed and may not mean what its writer thinks."""
    blank: tuple[str, ...] = ()
    """Those of its files that have nothing in them."""

    @property
    def python_path(self) -> tuple[str, ...]:
        """What every job has first on sys.path: the manifest's folder, then ``[supervisor] pythonpath``."""
        return (self.folder, *self.settings.pythonpath)


def make_settings(values: Mapping[str, Any], around: Surroundings) -> Settings:
    """Return the settings that the keys of ``[supervisor]`` and the surroundings make."""
    state_dir = around.absolute(values.get("state_dir", around.state_dir))
    given = {
        name: values[name]
        for name in ("preload", "socket_group", "timezone", "max_running", "vitals", "stop_timeout")
        if name in values
    }
    given |= {f"log_{name}": value for name, value in values.get("log", {}).items()}
    given |= {f"history_{name}": value for name, value in values.get("history", {}).items()}
    if "log_file" in given:
        given["log_file"] = around.absolute(given["log_file"])
    return Settings(
        state_dir=state_dir,
        log_dir=around.absolute(values.get("log_dir", around.log_dir or around.join(state_dir, "logs"))),
        socket=around.absolute(values.get("socket", around.socket or around.join(state_dir, "control.sock"))),
        pythonpath=tuple(map(around.absolute, values.get("pythonpath", ()))),
        root_limit=Limit(
            max_restarts=values.get("max_restarts", 0), within=values.get("within", timedelta(seconds=60))
        ),
        **given,
    )
