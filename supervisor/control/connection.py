"""One client of the control socket: reads its requests and answers them side by side, bounded in every direction."""

import asyncio
import json
import select
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from supervisor.control.turnstile import Turnstile
from supervisor.errors import ControlError

LONGEST_LINE = 1024 * 1024
MOST_UNSENT = 4 * 1024 * 1024
"""Bytes of answers that may wait for a client; one that lets more pile up is dropped."""
MOST_REQUESTS = 32
"""Requests of one connection that are answered at the same time; further ones wait unread."""
FAREWELL = 1.0
"""Seconds that an ending connection has for the answers under way, and again to take what is still unsent."""

Params = dict[str, Any]
Handler = Callable[[str, Params], Awaitable[Any]]
"""Returns the result of a method; an async iterator of results is a stream. What a handler notes in the params is asked
again with them, where a request has to be."""
Again = Callable[[str, Params], tuple[str, Params] | None]
"""Returns the request by which a client hears of one whose answer is under way from who goes on after an exec."""


class Connection:
    """One client, from its first line to its last answer."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handle: Handler,
        warn: Callable[[str], None],
        turnstile: Turnstile,
    ) -> None:
        self._turnstile = turnstile
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._warn = warn
        self._requests: dict[asyncio.Task[None], tuple[Any, str, Params]] = {}
        """By what answers it: id, method and params."""
        self._clock = asyncio.get_running_loop().time
        self.heard_at = self._clock()
        """When the client last sent a line, on the loop's clock."""

    @property
    def is_idle(self) -> bool:
        """True while no request is being answered."""
        return not self._requests

    async def serve(self) -> None:
        """Answer requests until the client is done or out of bounds."""
        try:
            while True:
                line = await self._reader.readuntil()
                self.heard_at = self._clock()
                await self._turnstile.passed()
                await self._take(line)
        except asyncio.IncompleteReadError as rest:
            if rest.partial.strip():
                self.refuse(None, "a request ends with a newline")
            if self._is_hung_up():
                await self._give_up()
                return
        except asyncio.LimitOverrunError:
            self.refuse(None, "a line is longer than 1 MiB")
            return
        except ConnectionError:
            return
        if self._requests:
            await asyncio.wait(self._requests)

    def send_on(self, again: Again) -> None:
        """Have the client ask again what is not answered, where that can be, of who goes on after an exec.

        Who has no request under way may be sending one, which is not heard.
        """
        if not self._requests:
            self._reply({"again": {}})
        for ident, method, params in self._requests.values():
            asked = again(method, params)
            if asked is not None:
                self._reply({"id": ident, "again": {"method": asked[0], "params": asked[1]}})

    def refuse(self, ident: Any, why: str) -> None:
        """Answer a request that is none, or nobody's right."""
        self._reply({"id": ident, "error": {"code": 2, "message": why}})

    def drop(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End the connection after what it still has to send, if the client takes it in time.

        A request that is not answered by then is given up.
        """
        if self._requests:
            _, late = await asyncio.wait(self._requests, timeout=FAREWELL)
            for request in late:
                request.cancel()
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), FAREWELL)
        except (TimeoutError, OSError):
            self.drop()

    def _is_hung_up(self) -> bool:
        """Tell whether the client is gone, and has not only said all: it reads no answer either (unix(7), POLLHUP)."""
        fd = self._writer.get_extra_info("socket").fileno()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, 0)
        return bool(poll.poll(0))

    async def _give_up(self) -> None:
        """Wait no longer for what was asked; what was ordered is done, for each request has had its turn before."""
        await asyncio.sleep(0)
        for request in self._requests:
            request.cancel()

    async def _take(self, line: bytes) -> None:
        try:
            request = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            self.refuse(None, f"not JSON: {error}")
            return
        match request:
            case {"method": str(method)} if isinstance(request.get("params", {}), dict):
                while len(self._requests) >= MOST_REQUESTS:
                    await asyncio.wait(self._requests, return_when=asyncio.FIRST_COMPLETED)
                asked = (request.get("id"), method, request.get("params", {}))
                task = asyncio.create_task(self._answer(*asked))
                self._requests[task] = asked
                task.add_done_callback(self._requests.pop)
            case {"id": ident}:
                self.refuse(ident, 'a request is {"id": …, "method": "…", "params": {…}}')
            case _:
                self.refuse(None, 'a request is {"id": …, "method": "…", "params": {…}}')

    async def _answer(self, ident: Any, method: str, params: dict[str, Any]) -> None:
        try:
            result = await self._handle(method, params)
            if isinstance(result, AsyncIterator):
                await self._stream(ident, result)
            else:
                self._reply({"id": ident, "result": result})
        except ControlError as error:
            self._reply({"id": ident, "error": {"code": error.code, "message": str(error)}})
        except Exception as error:  # noqa: BLE001  # a request that fails must not end the supervisor
            self._warn(f"control: {method} failed\n{traceback.format_exc()}")
            self._reply(
                {"id": ident, "error": {"code": 1, "message": f"internal error: {type(error).__name__}: {error}"}}
            )

    async def _stream(self, ident: Any, results: AsyncIterator[Any]) -> None:
        """Send results as they come, as fast as the client takes them, and stop when it is gone."""
        try:
            async for result in results:
                self._reply({"id": ident, "result": result})
                with suppress(ConnectionError):  # told by is_closing
                    await self._writer.drain()
                if self._writer.is_closing():
                    return
            self._reply({"id": ident, "end": True})
        finally:
            if isinstance(results, AsyncGenerator):
                await results.aclose()

    def _reply(self, message: dict[str, Any]) -> None:
        """Send a line, or drop a client that has let too much pile up already."""
        data = json.dumps(message).encode() + b"\n"
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MOST_UNSENT:
            self.drop()
            return
        self._writer.write(data)
