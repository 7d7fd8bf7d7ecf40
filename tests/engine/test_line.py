"""A conversation on the event loop: nothing blocks, nothing spins, nothing that was said is lost."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from rig import open_fds

from supervisor.engine.line import MOST_AT_ONCE, Line
from supervisor.wire import Message, Wire, pair


class Talk:
    """A line, its peer, and what is heard."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        ours, theirs = pair()
        self.peer = theirs
        self.heard: list[Message] = []
        self.kept: list[int] = []
        self.ends: list[str] = []
        self.line = Line(loop, ours, hear=self.hear, hung_up=self.ends.append)

    def hear(self, message: Message, fds: list[int]) -> None:
        self.heard.append(message)
        if message.get("keep"):
            self.kept.append(fds.pop())


def talking(scene: Callable[[Talk], Coroutine[Any, Any, None]]) -> None:
    async def played() -> None:
        talk = Talk(asyncio.get_running_loop())
        try:
            await scene(talk)
        finally:
            talk.line.close()
            talk.peer.close()

    asyncio.run(played())


async def until(condition: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.005)


def test_what_is_put_in_one_turn_goes_out_as_one_datagram() -> None:
    async def scene(talk: Talk) -> None:
        talk.line.put({"n": 1})
        talk.line.put({"n": 2})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert talk.peer.recv(1000) == b'[{"n":1},{"n":2}]'

    talking(scene)


def test_a_peer_that_does_not_read_holds_up_nobody_and_gets_everything_later() -> None:
    async def scene(talk: Talk) -> None:
        for number in range(2000):
            talk.line.put({"n": number, "ballast": "x" * 1000})
        await asyncio.sleep(0.01)
        got: list[int] = []
        peer = Wire(talk.peer)

        def read() -> bool:
            got.extend(message["n"] for message, _ in peer.receive())
            return len(got) == 2000

        await until(read)
        assert got == list(range(2000))

    talking(scene)


def test_a_peer_that_is_gone_does_not_keep_the_loop_busy() -> None:
    async def scene(talk: Talk) -> None:
        talk.line.put({"ballast": "x" * 50_000})
        talk.peer.close()
        await until(lambda: talk.ends)
        talk.line.put({"n": 1})
        talk.line.flush()
        before = time.thread_time()
        await asyncio.sleep(0.3)
        assert time.thread_time() - before < 0.1
        assert talk.ends == [""]

    talking(scene)


def test_a_peer_that_dies_with_messages_unread_is_heard_to_its_last_word() -> None:
    async def scene(talk: Talk) -> None:
        talk.line.put({"never": "read"})
        talk.line.flush()
        talk.peer.send(b'[{"last":"word"}]')
        talk.peer.close()
        await until(lambda: talk.ends)
        assert talk.heard == [{"last": "word"}]
        assert talk.ends == [""]

    talking(scene)


def test_a_malformed_message_ends_the_line_with_words() -> None:
    async def scene(talk: Talk) -> None:
        talk.peer.send(b"no json")
        await until(lambda: talk.ends)
        assert "malformed" in talk.ends[0]

    talking(scene)


def test_descriptors_come_close_on_exec_and_those_not_kept_are_closed() -> None:
    async def scene(talk: Talk) -> None:
        read, write = os.pipe()
        os.set_inheritable(write, True)
        before = open_fds()
        socket.send_fds(talk.peer, [b'[{"keep":1,"fds":1},{"fds":1}]'], [write, write])
        await until(lambda: len(talk.heard) == 2)
        (kept,) = talk.kept
        assert not os.get_inheritable(kept)
        assert open_fds() == before + 1
        for fd in (kept, read, write):
            os.close(fd)

    talking(scene)


def test_closing_twice_is_closing_once() -> None:
    async def scene(talk: Talk) -> None:
        talk.line.put({"n": 1})
        talk.line.close()
        talk.line.close()
        talk.line.put({"n": 2})
        talk.line.drain()
        await asyncio.sleep(0)
        assert talk.ends == []

    talking(scene)


def test_one_who_goes_on_talking_is_heard_only_so_long_at_once() -> None:
    async def run() -> None:
        ours, peer = pair()
        heard: list[Message] = []

        def hear(message: Message, _: list[int]) -> None:
            heard.append(message)
            peer.send(b'[{"n":1}]')

        line = Line(asyncio.get_running_loop(), ours, hear=hear, hung_up=lambda _: None)
        peer.send(b'[{"n":1}]')
        line.drain()
        assert len(heard) == MOST_AT_ONCE
        line.close()
        peer.close()

    asyncio.run(run())
