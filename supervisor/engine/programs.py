"""Finding the program of a ``command`` before it is due."""

import os
import shutil

from supervisor.engine.targets import Wanted


def program_problem(wanted: Wanted, program: str, path: str | None, cwd: str) -> str | None:
    """Return what is wrong with the program of a ``command``, or None."""
    found = shutil.which(program if "/" not in program else os.path.join(cwd, program), path=path)
    if found is not None:
        return None
    where = f" ({wanted.where})" if wanted.where else ""
    place = (
        f"{os.path.join(cwd, program)} is missing or not executable" if "/" in program else f'no "{program}" on PATH'
    )
    return f'job "{wanted.job}"{where}: cannot find its program: {place}; install it, or correct `command`'
