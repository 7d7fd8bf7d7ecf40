"""Looks over TLS at real sockets, by a certificate of localhost that some trust and others do not."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from conftest import eventually
from program import program

from supervisor.checks import secure
from supervisor.checks.endpoints import BadAnswerError, Resolver, look_at_https

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    secure.trusting.cache_clear()
    yield
    secure.trusting.cache_clear()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@contextmanager
def door(answer: bytes | None, *, speaks_tls: bool = True) -> Iterator[int]:
    """Give the port of a server that takes connections and answers like this, or never."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            taken, _ = listening.accept()
            with (
                suppress(OSError),
                taken,
                context.wrap_socket(taken, server_side=True) if speaks_tls else taken as door,
            ):
                door.recv(4096)
                if answer is None:
                    door.recv(4096)  # until the other side has had enough
                else:
                    door.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def look(port: int, host: str = "localhost", within: float = 10) -> None:
    async def main() -> None:
        await look_at_https(Resolver(asyncio.get_running_loop()), host, port, "/health", within)

    asyncio.run(main())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_good_status_from_one_who_is_trusted_is_well(host: str) -> None:
    with door(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        look(port, host)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("answer", "why"), [(b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP status 503"), (b"SSH-2.0\r\n", "the answer is not HTTP")]
)
def test_any_other_answer_is_bad(answer: bytes, why: str) -> None:
    with door(answer) as port, pytest.raises(BadAnswerError, match=why):
        look(port)


def test_a_certificate_that_nobody_vouches_for_is_bad() -> None:
    with door(b"") as port, pytest.raises(BadAnswerError, match="its certificate is not to be trusted: self-signed"):
        look(port)


def test_one_that_speaks_no_tls_is_bad() -> None:
    plain = door(b"HTTP/1.1 200 OK\r\n\r\n", speaks_tls=False)
    with plain as port, pytest.raises(BadAnswerError, match="it does not speak TLS: WRONG_VERSION_NUMBER"):
        look(port)


@pytest.mark.usefixtures("trusted")
def test_one_that_never_answers_is_a_time_out_and_its_thread_ends() -> None:
    with door(None) as port, pytest.raises(TimeoutError):
        look(port, within=0.3)


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OSError, match=r"Connection refused$"):
        look(port)


SERVER = f"""
import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain({str(CERTIFICATE)!r})
server = http.server.HTTPServer(("127.0.0.1", PORT), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.mark.usefixtures("trusted")
def test_a_supervisor_that_was_started_without_openssl_looks_over_tls(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    (tmp_path / "server.py").write_text(SERVER.replace("PORT", str(port)))
    with program(tmp_path) as app:
        app.write(
            f'[jobs.web]\ncommand = ["{sys.executable}", "server.py"]\n'
            f'ready = {{ http = "https://localhost:{port}/" }}\n'
            f'health = {{ http = "https://127.0.0.1:{port}/", every = "100ms" }}\n'
        )
        app.run()
        app.eventually_job("web", state="running", health="ok")


def test_who_asks_for_no_tls_has_no_openssl(tmp_path: Path) -> None:
    with program(tmp_path) as app:
        app.write('[jobs.web]\ncommand = ["sleep", "600"]\nhealth = { tcp = "127.0.0.1:1", action = "report" }\n')
        app.run()
        eventually(lambda: app.job("web")["pid"])
        maps = Path(f"/proc/{app.pid}/maps").read_text()
    assert "libssl" not in maps
    assert subprocess.run([sys.executable, "-c", "import ssl"], check=False).returncode == 0
