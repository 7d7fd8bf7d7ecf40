"""A small HTTP API on loopback, so that ``poll_api`` has something real to ask: a long-lived command job.

Run as ``python -m jobs.demo_api PORT``; GET /status answers JSON.
"""

import argparse
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STARTED = time.monotonic()


class Status(BaseHTTPRequestHandler):
    """Answers GET /status, and 404 to anything else."""

    def do_GET(self) -> None:
        """Answer with the state of this API."""
        if self.path != "/status":
            self.send_error(404)
            return
        body = json.dumps({"status": "up", "uptime_s": round(time.monotonic() - STARTED)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def server(port: int) -> ThreadingHTTPServer:
    """Return the API, listening on 127.0.0.1 and nowhere else; port 0 is any free one.

    Raises:
        OSError: the port is taken.
    """
    return ThreadingHTTPServer(("127.0.0.1", port), Status)


def main() -> None:
    """Serve until ended by a signal."""
    options = argparse.ArgumentParser(prog="python -m jobs.demo_api", description="A demo API on loopback.")
    options.add_argument("port", type=int)
    port = options.parse_args().port
    try:
        api = server(port)
    except OSError as error:
        sys.exit(f"cannot listen on 127.0.0.1:{port}: {error.strerror}; give the demo another port in jobs.toml")
    print(f"listening on http://127.0.0.1:{api.server_port}/status", flush=True)
    api.serve_forever()


if __name__ == "__main__":
    main()
