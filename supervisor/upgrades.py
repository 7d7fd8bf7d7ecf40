"""``upgrade``: the next version proves itself in a child, then this process becomes it. No job is interrupted.

Whatever can refuse does so before the exec, and after that nothing is left to decide: the child has run the same
interpreter with the same arguments, and has read what it would have to go on from.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Protocol

from loguru import logger

from supervisor import __version__
from supervisor.aside import aside
from supervisor.core.board import Board
from supervisor.errors import JobvisorError
from supervisor.handover import Handover, keep_over_exec, written
from supervisor.signals import HANDOVER

PROVES_WITHIN = 60.0
"""Seconds in which the next version has to have read the board."""
STEADY_WITHIN = 30.0
"""Seconds in which the processes beside the supervisor have to be there, and the loop idle for a moment."""


class Loop(Protocol):
    """What an upgrade needs of the loop."""

    board: Board

    @property
    def is_steady(self) -> bool:
        """True while all that goes on beside the loop can cross an exec."""

    def hand_over(self) -> Handover:
        """Return everything as it stands."""

    def send_clients_on(self) -> None:
        """Have clients whose answer is under way ask the next version."""

    def pause(self) -> None:
        """Finish what threads do for jobs, and hold signals back.

        Raises:
            JobvisorError: a disk does not answer.
        """

    def resume(self) -> None:
        """Go on after ``pause``."""


class Upgrades:
    """One upgrade at a time; no reload goes on meanwhile."""

    def __init__(self, loop: Loop, turn: asyncio.Lock) -> None:
        self._loop = loop
        self._turn = turn

    async def upgrade(self) -> None:
        """Become what this interpreter runs now with these arguments. Nobody gets an answer but by asking again.

        Raises:
            JobvisorError: it was refused; all goes on as before.
        """
        async with self._turn:
            try:
                await self._upgrade()
            except (JobvisorError, OSError) as error:
                raise JobvisorError(
                    f"upgrade refused: {error}; version {__version__} goes on, and no job was touched"
                ) from error

    async def _upgrade(self) -> None:
        self._refuse_an_end()
        await self._steady(lambda: self._loop.is_steady, "a fork server or the log process is just being started")
        document, fds = written(self._loop.hand_over())
        version = await aside(lambda: proven(document))
        logger.info("upgrade from version {} to {}: {} descriptors go with it", __version__, version, len(fds))
        self._loop.pause()
        try:
            await self._steady(self._is_idle, "the supervisor has no idle moment")
            self._become()
        except BaseException:
            self._loop.resume()
            raise

    def _refuse_an_end(self) -> None:
        if self._loop.board.ending is not None:
            raise JobvisorError("it is stopping all jobs; start the new version when it has ended")

    async def _steady(self, is_so: Callable[[], bool], otherwise: str) -> None:
        """Return in the turn of the loop in which something is so.

        Raises:
            JobvisorError: it does not come to that.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + STEADY_WITHIN
        while not is_so():
            self._refuse_an_end()
            if loop.time() > until:
                raise JobvisorError(f"{otherwise}; try again")
            await asyncio.sleep(0 if is_so == self._is_idle else 0.05)

    def _is_idle(self) -> bool:
        """Tell whether nothing that has been heard is still to be taken: what has not, waits in its socket."""
        self._refuse_an_end()
        return self._loop.is_steady and not asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way to know

    def _become(self) -> None:
        document, fds = written(self._loop.hand_over())
        memory = in_memory(document)
        try:
            keep_over_exec((*fds, memory), kept=True)
            self._loop.send_clients_on()
            environ = {**os.environ, HANDOVER: f"take:{memory}"}
            os.execve(sys.executable, arguments(), environ)  # noqa: S606  # this very program
        except OSError as error:
            raise JobvisorError(f"cannot exec {sys.executable}: {error.strerror or error}") from error
        finally:
            keep_over_exec(fds, kept=False)
            os.close(memory)


def arguments() -> list[str]:
    """Return the command line of this process, for the interpreter that runs it."""
    return [sys.executable, *sys.orig_argv[1:]]


def in_memory(document: bytes) -> int:
    """Return the descriptor of a file in memory with these contents."""
    fd = os.memfd_create("handover", os.MFD_CLOEXEC)
    view = memoryview(document)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def proven(document: bytes) -> str:
    """Return the version that this process would become, once it has read the board in a child of its own.

    Raises:
        JobvisorError: it cannot go on from it, or does not know how; the text says why.
    """
    memory = in_memory(document)
    try:
        child = subprocess.run(  # noqa: S603  # this very program
            arguments(),
            env={**os.environ, HANDOVER: f"try:{memory}"},
            pass_fds=(memory,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROVES_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JobvisorError(f"the new version has not read the board within {PROVES_WITHIN:g} s") from None
    except OSError as error:
        raise JobvisorError(f"cannot run {sys.executable}: {error.strerror or error}") from error
    finally:
        os.close(memory)
    match _answer(child.stdout):
        case {"takes_over": True, "version": str(version)} if child.returncode == 0:
            return version
        case {"takes_over": False, "why": str(why)}:
            raise JobvisorError(why)
    last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"exit {child.returncode}"
    raise JobvisorError(f"the new version does not start, or knows nothing of upgrades: {last}")


def _answer(output: bytes) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return None
