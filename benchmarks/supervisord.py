"""The peer: supervisord, installed into an environment of its own, with as many programs as we have jobs."""

import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "4.3.0"
HOME = Path(__file__).with_name(".peers") / f"supervisor-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
"""Beside the benchmarks and not in the project's environment: it owns the import name ``supervisor`` too."""

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
    programs = HOME / "bin"
    if not (programs / "supervisorctl").exists():
        shutil.rmtree(HOME, ignore_errors=True)
        print(f"installing supervisor {VERSION} into {HOME}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"supervisor=={VERSION}"], check=True)
    return programs


def write_conf(folder: Path, count: int, command: str) -> Path:
    """Write and return the configuration of ``count`` equal programs."""
    path = folder / "supervisord.conf"
    path.write_text(CONF.format(count=count, command=command))
    return path
