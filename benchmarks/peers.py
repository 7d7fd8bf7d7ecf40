"""Peers to be measured beside, each installed into an environment of its own under ``.peers``."""

import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).with_name(".peers")


def installed(package: str, version: str) -> Path:
    """Return the folder of a package's programs, its ``python`` among them; install it the first time."""
    home = HOME / f"{package}-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    programs, done = home / "bin", home / "installed"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        print(f"installing {package} {version} into {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{package}=={version}"], check=True)
        done.touch()
    return programs
