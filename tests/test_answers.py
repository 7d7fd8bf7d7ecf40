"""What clients may ask of a supervisor: many long-waiting things at once, and things that make no sense."""

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import eventually
from program import Program, program

JOBS = """
[jobs.beat]
command = ["true"]
every = "1s"
[jobs.never]
command = ["sleep", "1000"]
ready = "notify"
start_timeout = "none"
[jobs.web]
command = ["sleep", "1000"]
instances = 20
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(JOBS)
        made.run()
        eventually(lambda: all(job["pid"] for job in made.json("status")["jobs"] if job["name"] != "beat"))
        yield made


def connected(app: Program) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(app.folder / ".jobvisor" / "control.sock"))
    sock.settimeout(60)
    return sock


def ask(sock: socket.socket, method: str, **params: Any) -> None:
    sock.sendall(json.dumps({"id": method, "method": method, "params": params}).encode() + b"\n")


def answer(app: Program, method: str, **params: Any) -> dict[str, Any]:
    with connected(app) as sock:
        ask(sock, method, **params)
        told: dict[str, Any] = json.loads(sock.makefile().readline())
        return told


def refusal(app: Program, method: str, **params: Any) -> tuple[int, str]:
    error = answer(app, method, **params)["error"]
    return error["code"], error["message"]


@contextmanager
def reading(socks: list[socket.socket]) -> Iterator[None]:
    """Read all that comes, as long as the context lasts."""
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            for sock in select.select(socks, [], [], 0.1)[0]:
                sock.recv(1 << 20)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def beats_on(app: Program) -> None:
    """See the one-second job run three times, each when it was due."""
    first = app.job("beat")["runs"]
    eventually(lambda: app.job("beat")["runs"] >= first + 3)
    rows = app.json("history", "beat", "-n", "4")
    assert {row["outcome"] for row in rows if row["ended_at"] is not None} == {"ok"}


@pytest.mark.parametrize("progress", [False, True])
def test_thousands_that_wait_for_what_never_comes_hold_up_nobody_and_leave_nothing(
    app: Program, *, progress: bool
) -> None:
    process = psutil.Process(app.pid)
    fds = process.num_fds()
    with ExitStack() as held:
        for _ in range(60):
            sock = held.enter_context(connected(app))
            for _ in range(32):
                ask(sock, "start", names=["never"], progress=progress)
        eventually(lambda: process.num_fds() >= fds + 60)
        beats_on(app)
        assert process.num_fds() >= fds + 60
    eventually(lambda: process.num_fds() <= fds + 2)
    beats_on(app)
    assert "Traceback" not in app.log


def test_a_thousand_that_watch_share_a_part_of_the_loop(app: Program) -> None:
    with ExitStack() as held:
        socks = [held.enter_context(connected(app)) for _ in range(40)]
        held.enter_context(reading(socks))
        for sock in socks:
            for _ in range(32):
                ask(sock, "watch")
        beats_on(app)
    assert "Traceback" not in app.log


def test_what_is_ordered_by_a_client_that_is_gone_is_done(app: Program) -> None:
    for order in ("stop", "start"):
        with connected(app) as sock:
            ask(sock, order, names=["web:1"])
        app.eventually_job("web", state={"stop": "stopped", "start": "running"}[order])
    app.write(JOBS + '[jobs.added]\ncommand = ["sleep", "1000"]\n')
    with connected(app) as sock:
        ask(sock, "reload")
    eventually(lambda: "added" in app.ctl("status").stdout)
    with connected(app) as sock:
        ask(sock, "shutdown")
    assert app.supervisor is not None
    assert app.supervisor.wait(20) == 0


def test_looks_at_processes_and_plans_take_turns(app: Program) -> None:
    process = psutil.Process(app.pid)
    most = 0
    with ExitStack() as held:
        socks = [held.enter_context(connected(app)) for _ in range(20)]
        for sock in socks:
            for _ in range(16):
                ask(sock, "show", name="web")
                ask(sock, "plan")
        for sock in socks:
            reader = sock.makefile()
            for _ in range(32):
                assert "result" in json.loads(reader.readline())
                most = max(most, process.num_threads())
    assert most < 20


def test_what_makes_no_sense_is_refused_in_a_sentence(app: Program) -> None:
    assert refusal(app, "status", names=["*"] * 1001) == (
        2,
        "1001 names are too many, 1000 are taken; use patterns or groups",
    )
    assert refusal(app, "status", names="web") == (2, '"names" must be a list of strings')
    for number in (True, 0, 1001, "2"):
        assert refusal(app, "scale", instances={"web": number})[1].startswith('"instances" must be a table')
    for number in ([], {}, True, 1.5, 0, 999, None):
        assert refusal(app, "signal", names=["web"], signal=number) == (2, '"signal" must be the number of a signal')
    for seconds in ("1s", 0, -1, True, [], 1e9):
        assert refusal(app, "call", names=["web:1"], timeout=seconds)[0] == 2
    assert refusal(app, "fly")[1].startswith('unknown method "fly"; this supervisor is version ')
    assert "result" in answer(app, "trigger", name="beat", wait=True, progress=True)
    assert "Traceback" not in app.log
