"""A client without a start of its own: thousands of orders an hour cost nothing."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any


def ask(folder: Path, method: str, **params: Any) -> Any:
    """Return what a client is answered; None where nobody answers, or it is refused."""
    with socket.socket(socket.AF_UNIX) as sock, suppress(OSError):
        sock.settimeout(30)
        sock.connect(str(folder / ".jobvisor" / "control.sock"))
        sock.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        line = sock.makefile("rb").readline()
        return json.loads(line).get("result") if line.endswith(b"\n") else None
    return None
