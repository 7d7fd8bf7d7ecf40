"""Telling a program: the notice is JSON on its stdin, and exit code 0 says that it has arrived."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from supervisor.core.notifier import Program
from supervisor.notify.delivery import Undelivered

_LONGEST = 200
"""Characters of what it says that are told."""
_HEARD = 4096
"""Bytes of what it says that are kept, the last ones."""
_BLOCK = 64 * 1024


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
            said = _conversed(process, json.dumps(notice).encode() + b"\n", time.monotonic() + self._timeout)
        except TimeoutError:
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


def _conversed(process: "subprocess.Popen[bytes]", notice: bytes, until: float) -> bytes:
    """Give a process the notice and return the last that it says, once it has ended.

    Its pipes may stay open longer, in what it has started: they are not waited for, as ``communicate`` would.

    Raises:
        TimeoutError: it goes on after ``until``, a monotonic time.
    """
    assert process.stdin is not None
    assert process.stderr is not None
    stdin, stderr, ended = process.stdin.fileno(), process.stderr.fileno(), os.pidfd_open(process.pid)
    waits = select.poll()
    for fd, event in ((stdin, select.POLLOUT), (stderr, select.POLLIN), (ended, select.POLLIN)):
        os.set_blocking(fd, False)
        waits.register(fd, event)
    said = b""
    try:
        while True:
            found = {fd for fd, _ in waits.poll(max(0.0, until - time.monotonic()) * 1000)}
            if stderr in found:
                heard = os.read(stderr, _BLOCK)
                said = (said + heard)[-_HEARD:]
                if not heard:
                    waits.unregister(stderr)
            if ended in found:  # and what it had said last was heard: a pipe holds no more than a block (pipe(7))
                return said
            if time.monotonic() > until:
                raise TimeoutError
            if stdin in found:
                notice = _written(stdin, notice)
                if not notice:
                    waits.unregister(stdin)
                    process.stdin.close()
    finally:
        os.close(ended)


def _written(fd: int, data: bytes) -> bytes:
    """Return what is still to be written: nothing where nobody reads it."""
    try:
        return data[os.write(fd, data) :]
    except BrokenPipeError:
        return b""
