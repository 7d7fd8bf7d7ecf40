"""The unit file that has systemd run a manifest's supervisor, each choice in it explained by a comment."""

import re
from datetime import timedelta
from pathlib import PurePath

from supervisor.values import dataclass

NOTIFY_RELOAD = 253
"""The systemd from which on there is Type=notify-reload."""
RESTART_STEPS = 254
"""The one from which on restarts are spaced out."""
CLOSING = timedelta(seconds=15)
"""After the last job: the log process drains, the record of runs is written."""

_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # nothing is written there
_READ_ONLY = ("/usr", "/boot", "/efi", "/etc")
"""What ProtectSystem=full means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a unit is for; paths are absolute."""

    manifest: str
    ident: str
    """The manifest's ID in the names of its folders."""
    is_linked: bool = False
    """There is a symbolic link in the manifest's path, as a deployment sets one to the release of now."""
    program: tuple[str, ...]
    """The command line before ``-f``."""
    python: tuple[str, ...]
    """Folders that the interpreter lives in."""
    read: tuple[str, ...] = ()
    """What the manifest names to be read: folders of jobs, programs, modules."""
    written: tuple[str, ...] = ()
    """Folders that the manifest names to be written, and to be seen from without: of state, logs, the socket."""
    stop_timeout: timedelta
    of_user: bool = False
    """A unit of a user's own service manager."""
    account: str | None = None
    """Who runs it, in a system unit; None is root."""
    home: str | None = None
    """The account's home."""
    version: int = 0
    """Of systemd; zero is unknown, and old."""

    @property
    def name(self) -> str:
        """What the unit is called unless somebody says otherwise."""
        return f"jobvisor-{re.sub('[^A-Za-z0-9_]+', '-', PurePath(self.folder).name).strip('-') or self.ident}.service"

    @property
    def folder(self) -> str:
        """The manifest's folder."""
        return str(PurePath(self.manifest).parent)

    @property
    def mark(self) -> str:
        """The first line: it tells whose the file is."""
        return f"# Written by `jobvisor systemd` for {self.manifest}."

    def text(self) -> str:
        """Return the unit file."""
        sections = [
            self._unit(),
            self._service(),
            *([_SECCOMP] if self.of_user else [self._sandbox()]),
            self._install(),
        ]
        return f"{self.mark}\n{_HEAD}\n" + "\n".join(sections)

    def _unit(self) -> str:
        network = "" if self.of_user else _NETWORK
        return f"[Unit]\nDescription=Background jobs of {_specifiers(self.manifest)}\n{network}{_START_LIMIT}"

    def _service(self) -> str:
        reloads = self.version >= NOTIFY_RELOAD
        start = _words(*self.program, "-f", self.manifest, "run")
        reload = "" if reloads else _RELOAD + f"ExecReload={_words(*self.program, '-f', self.manifest, 'reload')}\n"
        return (
            f"[Service]\n{_NOTIFY_RELOAD if reloads else _NOTIFY}ExecStart={start}\n"
            f"WorkingDirectory={_specifiers(self.folder)}\n{reload}{self._user()}"
            f"{_WATCHDOG}{_RESTART}{_RESTART_STEPS if self.version >= RESTART_STEPS else ''}"
            f"{_KILL}TimeoutStopSec={self._stop_seconds}\n{_DELEGATE}{_FOLDERS.format(ident=self.ident)}"
            f"{_LINKED if self.is_linked else ''}"
        )

    @property
    def _stop_seconds(self) -> int:
        return -(-(self.stop_timeout + CLOSING) // timedelta(seconds=1))

    def _user(self) -> str:
        if self.of_user:
            return ""
        return _ROOT if self.account is None else f"{_USER}User={_specifiers(self.account)}\n"

    def _sandbox(self) -> str:
        ours = (self.folder, *self.python, *self.read, *self.written)
        protected = [path for path in dict.fromkeys((self.folder, *self.written)) if _is_below(path, _READ_ONLY)]
        writable = f"ReadWritePaths={_words(*protected)}\n" if protected else ""
        homes = (*ours, self.home or _HOMES[0])
        hides_homes = self.account is not None and not any(_is_below(path, _HOMES) for path in homes)
        has_own_tmp = not any(_is_below(path, _TEMPORARY) for path in ours)
        return (
            f"{_SECCOMP}\n{_FILES}{writable}{_HOME_HIDDEN if hides_homes else _HOME_OPEN}"
            f"{_TMP if has_own_tmp else _TMP_SHARED}{_KERNEL}"
            f"{_CAPABILITIES_ROOT if self.account is None else _CAPABILITIES_NONE}"
        )

    def _install(self) -> str:
        return f"[Install]\nWantedBy={'default.target' if self.of_user else 'multi-user.target'}\n"


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _words(*words: str) -> str:
    """Return words as systemd splits them again (systemd.service(5), "Command lines")."""
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    escaped = _specifiers(word).replace("\\", "\\\\").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w@%+=:,./$-]+", escaped) else '"' + escaped.replace('"', '\\"') + '"'


_HEAD = """\
# Change it with `systemctl edit`, which keeps your changes apart, and write it anew after the manifest has got another
# place or another [supervisor] stop_timeout.
"""
_NETWORK = """\
# The jobs may want the network, also while they stop. One that comes up before it is started again by its policy.
After=network.target
"""
_START_LIMIT = """\
# The supervisor is tried for ever, as its jobs are; a broken manifest is not (see below).
StartLimitIntervalSec=0
"""
_NOTIFY = """\
# "Started" means: the jobs that start at once have started. `systemctl status` has a line about their health.
Type=notify
NotifyAccess=main
"""
_NOTIFY_RELOAD = """\
# "Started" means: the jobs that start at once have started. `systemctl status` has a line about their health, and
# `systemctl reload` returns when the edited manifest is applied; a bad one changes nothing, and that line says why.
Type=notify-reload
NotifyAccess=main
"""
_RELOAD = """\
# Waits until the edited manifest is applied; a bad one changes nothing and fails, with the reasons in the journal.
"""
_USER = """\
# The owner of the manifest: its jobs shall read and write what is theirs, and no more.
"""
_ROOT = """\
# It runs as root: jobs of the manifest have a `user` of their own, or root owns it. Where neither is meant: User=
"""
_WATCHDOG = """\
# A supervisor whose loop hangs for so long is killed, with its stacks in the journal, and started again.
WatchdogSec=30s
"""
_RESTART = """\
# After a crash, and after an essential job gave up (exit 1). Not after an asked end (0), and not while the manifest is
# bad (78): starting again would not mend it.
Restart=on-failure
RestartPreventExitStatus=78
RestartSec=1s
"""
_RESTART_STEPS = """\
RestartSteps=6
RestartMaxDelaySec=1min
"""
_KILL = """\
# TERM goes to the supervisor alone, which stops each job by the job's own rule; what is left of the unit when it has
# ended, or crashed, is killed. The time is [supervisor] stop_timeout and some to close logs and records; a longer stop
# asks for more.
KillMode=mixed
"""
_DELEGATE = """\
# Cgroups of its own, one below for each job: limits, accounting, and nothing escapes a stop. That the kernel ends one
# job for its memory is the supervisor's to answer, not a reason to end all.
Delegate=yes
OOMPolicy=continue
"""
_FOLDERS = """\
# Records, job output and the control socket: found by `jobvisor` in any shell, by the manifest's path.
StateDirectory=jobvisor/{ident}
StateDirectoryMode=0700
LogsDirectory=jobvisor/{ident}
LogsDirectoryMode=0750
RuntimeDirectory=jobvisor/{ident}
"""
_LINKED = """\
# The manifest's path has a symbolic link in it. The folders are named after the path as it stands here: so they stay
# the same when the link is set to another release. `jobvisor` finds them by that path, not by that of a release.
"""
_SECCOMP = """\
# What follows takes away what background jobs hardly ever need. A job that does needs a line in `systemctl edit`.
# sudo, and other programs with set-user-ID: NoNewPrivileges=no. For an account other than root's systemd keeps it on as
# long as other settings stand that need it: the manual, "How to run it under systemd", has all of them.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictRealtime=yes
# Raw packets, Bluetooth and the like: RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Calls that set clocks, load modules, reboot, debug other processes. Mounts and namespaces stay: browsers and container
# tools build their sandboxes of them. So does writable and executable memory: every JIT compiler needs it.
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
"""
_FILES = """\
# The system's own files are read-only, all others are as their permissions say.
ProtectSystem=full
"""
_HOME_HIDDEN = """\
# Neither the application nor its account lives in a home, and the manifest names nothing there.
ProtectHome=yes
"""
_HOME_OPEN = """\
# Homes stay open: the application, its Python, its account or what the manifest names is in one, or it runs as root.
ProtectHome=no
"""
_TMP = """\
# /tmp is the jobs' own, and empty at each start; a job that meets others there: PrivateTmp=no
PrivateTmp=yes
"""
_TMP_SHARED = """\
# The application, or what the manifest names, is in a temporary folder.
PrivateTmp=no
"""
_KERNEL = """\
# Disks, GPUs, cameras, serial lines: PrivateDevices=no
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
# The cgroups that Delegate= gives are to be written.
ProtectControlGroups=no
"""
_CAPABILITIES_NONE = """\
# None of root's powers. A port below 1024: CapabilityBoundingSet=CAP_NET_BIND_SERVICE, AmbientCapabilities= the same
CapabilityBoundingSet=
"""
_CAPABILITIES_ROOT = """\
# Of root's powers those that starting jobs as others, and most jobs of root, never need.
CapabilityBoundingSet=~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_BPF CAP_CHECKPOINT_RESTORE
CapabilityBoundingSet=~CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD CAP_NET_ADMIN CAP_NET_BROADCAST
CapabilityBoundingSet=~CAP_PERFMON CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME
CapabilityBoundingSet=~CAP_SYS_TTY_CONFIG CAP_SYSLOG CAP_WAKE_ALARM
"""
