import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jobs.poll_api import PollError, poll

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def api(answer: Answer) -> Iterator[str]:
    """Serve this answer on loopback; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/status"
        finally:
            server.shutdown()
            thread.join()


def ok(body: bytes, length: int | None = None) -> Answer:
    """Answer 200 with a body, or with less of it than is announced."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_prints_what_the_api_says(capsys: pytest.CaptureFixture[str]) -> None:
    with api(ok(b'{"status": "up"}')) as url:
        poll(url)
        assert capsys.readouterr().out == f'{url} says {{"status": "up"}}\n'


def test_an_api_that_is_down_is_a_failure_that_names_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port, and it refuses
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(PollError, match=f"^{url} cannot be reached: .*refused"):
            poll(url)


def test_an_error_of_the_api_is_a_failure_with_its_status() -> None:
    with (
        api(lambda handler: handler.send_error(500)) as url,
        pytest.raises(PollError, match=f"^{url} answered 500 Internal Server Error$"),
    ):
        poll(url)


def test_a_silent_api_is_a_failure_after_the_time_out() -> None:
    released = threading.Event()
    with api(lambda _: bool(released.wait(60)) and None) as url:
        try:
            with pytest.raises(PollError, match=f"^{url} did not answer within 0.05 s$"):
                poll(url, timeout_seconds=0.05)
        finally:
            released.set()


def test_an_api_that_takes_no_connection_is_a_failure_after_the_time_out() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.create_connection(address)]  # fills the backlog: the next connection is not answered
        url = f"http://127.0.0.1:{address[1]}/"
        with pytest.raises(PollError, match=f"^no connection to {url} within 0.05 s$"):
            poll(url, timeout_seconds=0.05)
        for each in waiting:
            each.close()


def test_an_answer_that_is_not_json_is_a_failure() -> None:
    with api(ok(b"<html>")) as url, pytest.raises(PollError, match=f"^{url} answered 6 bytes that are not JSON$"):
        poll(url)


def test_an_answer_that_breaks_off_is_a_failure() -> None:
    with api(ok(b'{"sta', length=100)) as url, pytest.raises(PollError, match=f"^{url} "):
        poll(url)


def test_something_that_speaks_no_http_is_a_failure() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 mail.example.org ESMTP\r\n")

    with api(answer) as url, pytest.raises(PollError, match=f"^{url} broke off its answer: 220 mail"):
        poll(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1/status", ""])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(PollError, match="not an http or https address"):
        poll(url)
