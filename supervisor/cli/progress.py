"""One line on the terminal that says what a long command still waits for; nothing where nobody looks."""

import os
import sys
import time
from typing import Any, Self

from supervisor.cli.table import one_line, short

AFTER = 0.5
"""Seconds after which a command counts as long."""
_CLEAR = "\r\x1b[K"


def is_seen() -> bool:
    """Tell whether somebody looks at stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


class Waiting:
    """The line, as a context; it is gone when the context ends."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since = time.monotonic()
        self._names: list[str] = []
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def tell(self, told: Any) -> None:
        """Take what is still waited for, as a supervisor tells it, or None where time has passed; show it."""
        match told:
            case {"waiting": list(names)}:
                self._names = [str(name) for name in names]
        passed = time.monotonic() - self._since
        if passed < AFTER:
            return
        self._is_shown = True
        line = f"{self._what}{self._waited()} ({short(passed)})"
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        print(_CLEAR + _cut(line, width), end="", file=sys.stderr, flush=True)

    def _waited(self) -> str:
        if not self._names:
            return ""
        count = f" {len(self._names)} jobs:" if len(self._names) > 1 else ""
        return f": waits for{count} {one_line(', '.join(self._names))}"


def _cut(line: str, width: int) -> str:
    """Return a line that does not break on a terminal so wide; of a long one the end, the time, stays."""
    if len(line) < width:
        return line
    end = line[line.rindex(" (") :]
    return f"{line[: max(0, width - len(end) - 2)]}…{end}"[: width - 1]
