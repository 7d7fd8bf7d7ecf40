"""A terminal of a given size, on which one command runs."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from pathlib import Path

from conftest import eventually
from program import JOBVISOR


class Terminal:
    """A terminal on which one command runs."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 100, lines: int = 30) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
        environ = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            [*JOBVISOR, *arguments],
            cwd=folder,
            env=environ | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def read(self) -> str:
        """Return all that has been shown by now."""
        while select.select([self._master], [], [], 0.02)[0]:
            try:
                self.shown += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # EIO: the last one who had the other side open has closed it
                break
        return self.shown

    def end(self) -> int:
        """Return the exit code once the command has ended, all of its output read."""
        eventually(lambda: self.read() is not None and self.process.poll() is not None)
        self.read()
        os.close(self._master)
        return self.process.wait()
