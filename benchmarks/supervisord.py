"""The peer: supervisord, with as many programs as we have jobs.

It is installed into an environment of its own and not into the project's: it owns the import name ``supervisor`` too.
"""

from pathlib import Path

import peers

VERSION = "4.3.0"
CONF = """\
[supervisord]
nodaemon = true
logfile = %(here)s/supervisord.log
pidfile = %(here)s/supervisord.pid
childlogdir = %(here)s
minfds = 4096
minprocs = 4096

[unix_http_server]
file = %(here)s/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://%(here)s/supervisor.sock

[program:job]
command = {command}
process_name = %(process_num)d
numprocs = {count}
redirect_stderr = true
"""


def installed() -> Path:
    """Return the folder of supervisord's programs; install them the first time."""
    return peers.installed("supervisor", VERSION)


def write_conf(folder: Path, count: int, command: str) -> Path:
    """Write and return the configuration of ``count`` equal programs."""
    path = folder / "supervisord.conf"
    path.write_text(CONF.format(count=count, command=command))
    return path
