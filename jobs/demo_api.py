"""A small HTTP API on loopback, so that ``poll_api`` has something real to ask: a long-lived command job."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STARTED = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """Answers GET /status."""

    def do_GET(self) -> None:
        """Answer with the state of this API, or 404."""
        if self.path != "/status":
            self.send_error(404)
            return
        body = json.dumps({"status": "up", "uptime_s": round(time.monotonic() - STARTED)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port: int) -> None:
    """Serve on 127.0.0.1 until stopped."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"cannot listen on 127.0.0.1:{port}: {error.strerror}; give the demo another port in jobs.toml")
    print(f"listening on http://127.0.0.1:{server.server_port}/status")
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
