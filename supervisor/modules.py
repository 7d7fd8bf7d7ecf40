"""How our own modules are run as programs: the fork server, the log process, the trial of a target."""

import os
import sys

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_IS_INSTALLED = os.path.basename(_FOLDER) in {"site-packages", "dist-packages"}


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this package with this interpreter, in the folder of ``cwd``.

    ``-m`` puts the working folder first on sys.path. In site-packages old back-ports of standard modules would be found
    before the standard library, so there the interpreter finds the package by itself (``-P``).
    """
    return [sys.executable, *(["-P"] if _IS_INSTALLED else []), "-m", module, *arguments]


def cwd() -> str | None:
    """Return the folder to run ``command`` in; None is any."""
    return None if _IS_INSTALLED else _FOLDER


def put_first_on_path(folders: list[str]) -> None:
    """In a module that ``command`` runs: put folders first on sys.path, in place of the working folder."""
    sys.path[: 0 if sys.flags.safe_path else 1] = folders
