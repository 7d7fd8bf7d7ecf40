"""A wire on the event loop: what waits goes out when the peer takes it, what comes is handed on as it comes."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from supervisor.handed import HandedWire, hand_over, take_over
from supervisor.wire import LARGEST_BODY, Message, Wire

MOST_AT_ONCE = 1000
"""Datagrams that are heard in one turn of the loop, so that nobody who goes on talking holds it up; a socket holds
fewer (SO_SNDBUF, some 200 kB by default, and each costs some 700 bytes)."""

LOT = 16
"""Messages that go out together: in a burst the peer is at work on the first while the next are still made."""

Hear = Callable[[Message, list[int]], None]
"""Takes a message; takes the descriptors that it keeps out of the list, the others are closed."""


class Line:
    """One end of a conversation. A peer that is gone is silent: what it had said before is still heard."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        *,
        hear: Hear,
        hung_up: Callable[[str], None],
        largest: int = LARGEST_BODY,
    ) -> None:
        """Take over the socket; ``hung_up`` is called once, with what is wrong or nothing, when no more will come."""
        self._loop = loop
        self._wire = Wire(sock, largest=largest)
        self._hear = hear
        self._hung_up = hung_up
        self._is_due = False
        self._is_blocked = False
        self._is_cut = False
        """Nothing can be sent any more."""
        self._is_over = False
        """Nothing will come any more."""
        loop.add_reader(self._wire, self._listen)

    def hand_over(self) -> HandedWire:
        """Return it as it stands, for who takes it over after an exec."""
        return hand_over(self._wire)

    def take_over(self, handed: HandedWire) -> None:
        """Go on with what was still to be said before an exec."""
        take_over(handed, self._wire)
        self._loop.call_soon(self.flush)

    def put(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Say something by the end of this turn of the loop; the descriptors stay open until the peer has answered."""
        if self._is_cut:
            return
        self._wire.put(message, fds, lent=True)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)
        elif self._wire.waiting >= LOT and not self._is_blocked:
            self.flush()

    def flush(self) -> None:
        """Say now what waits, as far as the peer takes it; the rest follows when it does."""
        self._is_due = False
        if self._is_cut:
            return
        try:
            self._wire.flush()
        except ConnectionError:
            self._cut()
            return
        if self._wire.has_waiting:
            self._is_due = self._is_blocked = True
            self._loop.add_writer(self._wire, self._flush_rest)

    def _flush_rest(self) -> None:
        self._is_blocked = False
        self._loop.remove_writer(self._wire)
        self.flush()

    def _cut(self) -> None:
        if not self._is_cut:
            self._is_cut = True
            self._loop.remove_writer(self._wire)

    def drain(self) -> None:
        """Hear what has come by now."""
        for _ in range(MOST_AT_ONCE):
            if self._is_over or not self._listen():
                return

    def _listen(self) -> bool:
        """Hear one datagram: one a turn of the loop, so that nobody who talks much holds up the others."""
        try:
            received = self._wire.receive()
        except EOFError:
            self._end("")
            return False
        except ValueError as error:
            self._end(str(error))
            return False
        heard = [self._heard(message, fds) for message, fds in received]
        return all(heard) and bool(received)

    def _heard(self, message: Message, fds: list[int]) -> bool:
        """Hear a message; a peer whose words cannot be taken is heard no more."""
        try:
            if not self._is_over:
                self._hear(message, fds)
        except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
            self._end(f"it said what nobody understands: {error!r}")
        finally:
            for fd in fds:
                os.close(fd)
        return not self._is_over

    def _end(self, problem: str) -> None:
        self._is_over = True
        self._loop.remove_reader(self._wire)
        self._hung_up(problem)

    def close(self) -> None:
        """Hang up."""
        if self._wire.fileno() < 0:
            return
        self._is_over = True
        self._loop.remove_reader(self._wire)
        self._cut()
        self._wire.close()
