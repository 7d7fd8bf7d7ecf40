"""Finding the program of a ``command`` before it is due."""

import os
import shutil

from supervisor.engine.targets import Wanted


def program_problem(wanted: Wanted, program: str, path: str | None, cwd: str) -> str | None:
    """Return what is wrong with the program of a ``command``, or None."""
    why = missing(program, path, cwd)
    where = f" ({wanted.where})" if wanted.where else ""
    return why and f'job "{wanted.job}"{where}: cannot find its program: {why}; install it, or correct `command`'


def missing(program: str, path: str | None, cwd: str) -> str | None:
    """Return where a program is missing, None where it is found."""
    place = os.path.normpath(os.path.join(cwd, program)) if "/" in program else program
    if shutil.which(place, path=path) is not None:
        return None
    return f"{place} is missing or not executable" if "/" in program else f'no "{program}" on PATH'
