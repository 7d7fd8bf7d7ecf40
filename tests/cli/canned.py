"""A supervisor that answers what a file says, in a process of its own: ``python canned.py SOCKET``.

``answers.json`` beside the socket holds for each method ``{"result": …}``, ``{"error": [code, text]}`` or ``"never"``;
each request is added to ``requests.jsonl``. It ends after it has answered ``shutdown``.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from supervisor.control.server import ControlServer
from supervisor.errors import ControlError


async def serve(path: Path) -> None:
    ended = asyncio.Event()

    async def handle(method: str, params: dict[str, Any]) -> Any:
        with path.with_name("requests.jsonl").open("a") as requests:
            requests.write(json.dumps([method, params]) + "\n")
        match json.loads(path.with_name("answers.json").read_text())[method]:
            case {"result": result}:
                if method == "shutdown":
                    ended.set()
                return result
            case {"error": [code, message]}:
                raise ControlError(code, message)
        return await asyncio.Event().wait()

    server = ControlServer(str(path), handle, warn=print)
    await server.start()
    await ended.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
