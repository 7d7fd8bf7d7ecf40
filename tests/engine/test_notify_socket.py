"""A run's own $NOTIFY_SOCKET: who may speak there, and that nobody who speaks without end holds up the loop."""

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from supervisor.engine.notify_socket import MOST_AT_ONCE, NotifySocket
from supervisor.wire import Message


def scene(played: Callable[[NotifySocket, socket.socket, list[Message]], None]) -> None:
    async def run() -> None:
        heard: list[Message] = []
        own = NotifySocket(asyncio.get_running_loop(), heard.append)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(own.address.replace("@", "\0", 1))
            played(own, sender, heard)
        own.close()
        own.drain()  # of a closed one nothing

    asyncio.run(run())


def test_what_was_said_before_the_end_is_heard() -> None:
    def played(own: NotifySocket, sender: socket.socket, heard: list[Message]) -> None:
        sender.send(b"READY=1\nSTATUS=fine")
        sender.send(b"WATCHDOG=1")
        own.drain()
        assert heard == [{"kind": "ready"}, {"kind": "heartbeat"}]

    scene(played)


def test_one_who_goes_on_sending_is_heard_only_so_long_at_once() -> None:
    """Each word that is heard is answered by the next one, as if the sender were as quick as the loop."""

    async def run() -> None:
        heard: list[Message] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:

            def hear(message: Message) -> None:
                heard.append(message)
                sender.send(b"WATCHDOG=1")

            own = NotifySocket(asyncio.get_running_loop(), hear)
            sender.connect(own.address.replace("@", "\0", 1))
            sender.send(b"WATCHDOG=1")
            own.drain()
            own.close()
        assert len(heard) == MOST_AT_ONCE

    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_other_users_are_not_heard() -> None:
    def played(own: NotifySocket, sender: socket.socket, heard: list[Message]) -> None:
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            sender.send(b"READY=1")
            os._exit(0)
        os.waitpid(pid, 0)
        own.drain()
        assert heard == []

    scene(played)
