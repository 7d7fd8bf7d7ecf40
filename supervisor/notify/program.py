"""Telling a program: the notice is JSON on its stdin, and exit code 0 says that it has arrived."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from supervisor.core.notifier import Program
from supervisor.notify.delivery import Undelivered

_LONGEST = 200
"""Characters of what it says that are told."""


class ByProgram:
    """Starts the program for each notice, in a session of its own, in the manifest's folder."""

    def __init__(self, program: Program, timeout: float, *, environ: Mapping[str, str], folder: str) -> None:
        self._argv = program.argv
        self._timeout = timeout
        self._environ = environ
        self._folder = folder

    def __call__(self, notice: dict[str, Any], /) -> None:
        """Deliver a notice.

        Raises:
            Undelivered: it cannot be started, takes too long, or ends with another exit code than 0.
        """
        try:
            process = subprocess.Popen(  # noqa: S603  # the manifest's own command
                self._argv,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise Undelivered(f"cannot start {self._argv[0]}: {error.strerror or error}", again=False) from error
        try:
            _, said = process.communicate(json.dumps(notice).encode() + b"\n", self._timeout)
        except subprocess.TimeoutExpired:
            raise Undelivered(f"{self._argv[0]} took more than {self._timeout:g} s, and was killed") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stderr):
                if pipe is not None:
                    pipe.close()
        if process.returncode:
            last = "".join(f": {line}" for line in said.decode(errors="replace").strip().splitlines()[-1:])
            raise Undelivered(f"{self._argv[0]} ended with exit code {process.returncode}{last[:_LONGEST]}")
