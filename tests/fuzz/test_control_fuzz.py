"""Whatever clients send, and however they behave, the supervisor answers the next one, and does not grow."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from conftest import eventually
from effort import SHARE, effort
from hypothesis import example, given
from hypothesis import strategies as st
from witness import Witnessed, witnessed

from supervisor.answers import Answers

METHODS = [*(Answers(cast("Any", None)).methods.keys() - {"shutdown"}), "call", "cast", "state", "stack", "signal"]
NAMES = st.sampled_from(["a", "beat", "*", "b:1", "", "nope", "[", "a" * 5000, "\udc80"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
PARAMS = st.dictionaries(
    st.sampled_from(
        [
            "names",
            "name",
            "wait",
            "timeout",
            "message",
            "request",
            "count",
            "plan",
            "code",
            "signal",
            "for",
            "progress",
            "instances",
        ]
    ),
    JSON | st.lists(NAMES, max_size=3) | NAMES,
    max_size=4,
)
REQUESTS = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS) | st.text(max_size=5)}, optional={"params": PARAMS | JSON, "id": JSON}
)
LINES = st.one_of(
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    REQUESTS.map(json.dumps).map(str.encode),
)
JOBS = '[jobs.a]\ncommand = "sleep 1000"\n[jobs.b]\ncommand = "true"\nevery = "1s"\nlog = "null"\n'


BURSTS = 12
LEVEL = 100_000
"""Bytes: less than a leak of half a kilobyte a connection would add in a burst."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    with witnessed(tmp_path_factory.mktemp("control")) as made:
        made.supervise(JOBS)
        made.goes_on()  # its own processes are there before the first test is watched for those it leaves
        yield made


def connected(app: Witnessed) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(app.folder / "control.sock"))
    sock.settimeout(20)
    return sock


def ping(app: Witnessed) -> None:
    with connected(app) as sock:
        sock.sendall(b'{"id":1,"method":"ping"}\n')
        assert b'"result"' in sock.makefile("rb").readline()


@effort(120)
@given(lines=st.lists(LINES, min_size=1, max_size=6), reads=st.booleans())
@example(lines=[b'{"method":"status","params":{"names":[[]]}}'], reads=True)
@example(lines=[b"[" * 100_000], reads=True)
@example(lines=[b'{"method":"trigger","params":{"name":{}}}'], reads=True)
def test_any_bytes_are_answered_or_refused_and_the_next_client_is_served(
    app: Witnessed, lines: list[bytes], *, reads: bool
) -> None:
    with connected(app) as sock, suppress(ConnectionError):
        sock.sendall(b"\n".join(lines) + b"\n")
        if reads:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.recv(65536)
    ping(app)


def burst(app: Witnessed) -> None:
    for _ in range(int(300 * min(SHARE, 20))):
        with connected(app) as sock, suppress(ConnectionError):
            sock.sendall(b'{"method":"status"}\n[]\n{"id":1,"method":"nope"}\nrubbish\n')
    ping(app)


def growth(app: Witnessed, process: psutil.Process) -> int:
    """Return the bytes that a burst has added to the supervisor."""
    before = process.memory_info().rss
    burst(app)
    return process.memory_info().rss - before


def test_after_all_that_nothing_has_failed_inside_and_nothing_has_grown(app: Witnessed) -> None:
    process = psutil.Process(app.pid)
    burst(app)  # the memory of one is kept for the next
    fds = process.num_fds()
    assert any(growth(app, process) < LEVEL for _ in range(BURSTS)), f"each burst adds {LEVEL} bytes or more"
    eventually(lambda: process.num_fds() <= fds + 8)
    assert "internal error" not in app.log
    assert "Traceback" not in app.log
    app.goes_on()


def crowd(app: Witnessed) -> None:
    """Two hundred at once: some half open, some that never read, some that read slowly, the others in a hurry."""
    with ExitStack() as held:
        half = [held.enter_context(connected(app)) for _ in range(20)]
        for sock in half:
            sock.sendall(b'{"method":"sta')
        deaf = [held.enter_context(connected(app)) for _ in range(20)]
        for sock in deaf:
            sock.sendall(b'{"id":1,"method":"status"}\n' * 20)
        slow = [held.enter_context(connected(app)) for _ in range(10)]
        for sock in slow:
            sock.sendall(b'{"id":1,"method":"watch"}\n')
        asking = [held.enter_context(connected(app)) for _ in range(150)]
        for sock in asking:
            sock.sendall(b'{"id":1,"method":"status"}\n')
        for sock in asking:
            assert json.loads(sock.makefile("rb").readline())["result"]["jobs"]
        for sock in slow:
            assert len(sock.recv(7)) == 7
        app.goes_on()


def test_two_hundred_clients_at_once_hold_up_nothing_and_leave_nothing(app: Witnessed) -> None:
    process = psutil.Process(app.pid)
    crowd(app)
    ping(app)
    before = process.num_fds()
    grown: list[int] = []
    for _ in range(BURSTS):
        rss = process.memory_info().rss
        crowd(app)
        eventually(lambda: process.num_fds() <= before + 8)
        grown.append(process.memory_info().rss - rss)
        if grown[-1] < LEVEL:
            break
    assert grown[-1] < LEVEL, f"each crowd adds {LEVEL} bytes or more: {grown}"
    assert process.num_threads() <= 4
    assert app.ctl("status", "a").returncode == 0


def test_thousands_of_requests_at_once_hold_up_no_job_and_no_other_client(app: Witnessed) -> None:
    with ExitStack() as held:
        greedy = [held.enter_context(connected(app)) for _ in range(100)]
        for sock in greedy:
            sock.sendall(b'{"id":1,"method":"show","params":{"name":"a"}}\n' * 32)
        greedy[0].sendall(b"\n" * 500_000)
        app.goes_on()
        ping(app)
        for sock in greedy[1:]:
            lines = sock.makefile("rb")
            assert all(b'"result"' in lines.readline() for _ in range(32))


def test_the_socket_is_its_owners_alone(app: Witnessed) -> None:
    assert Path(app.folder / "control.sock").stat().st_mode & 0o777 == 0o600
