"""The folders that a service manager hands to a program in its environment, and the one of the state without it."""

from collections.abc import Mapping

STATE_DIR = ".jobvisor"
"""Beside the manifest."""
SOCKET = "control.sock"


def state_dir(environ: Mapping[str, str]) -> str:
    """Return where the state is unless the manifest says otherwise; relative to the manifest's folder."""
    return _first(environ, "STATE_DIRECTORY") or STATE_DIR


def log_dir(environ: Mapping[str, str]) -> str | None:
    """Return where output is unless the manifest says otherwise, or None where it is in the state_dir."""
    return _first(environ, "LOGS_DIRECTORY")


def socket(environ: Mapping[str, str]) -> str | None:
    """Return where the control socket is unless the manifest says otherwise, or None where it is in the state_dir."""
    runtime = _first(environ, "RUNTIME_DIRECTORY")
    return f"{runtime}/{SOCKET}" if runtime else None


def _first(environ: Mapping[str, str], name: str) -> str | None:
    """Return the first of the folders of a variable: of several they are joined by colons (systemd.exec(5))."""
    return environ.get(name, "").partition(":")[0] or None
