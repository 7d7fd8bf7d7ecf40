"""What a job, or a fork server gone mad, may say: nothing is believed that does not hold, and nothing is leaked."""

import base64
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from effort import effort
from hypothesis import example, given
from hypothesis import strategies as st
from rig import Rig, open_fds, real

from supervisor import modules
from supervisor.core.exits import Code
from supervisor.engine.agreed import PLACEHOLDER
from supervisor.wire import LARGEST_BODY, Wire, pair

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
COUNTED = st.fixed_dictionaries({}, optional={"fds": st.integers(-3, 4) | JSON, "kind": st.text(max_size=8)})
DATAGRAMS = (
    st.binary(min_size=1, max_size=200)
    | JSON.map(json.dumps).map(str.encode)
    | st.lists(COUNTED).map(json.dumps).map(str.encode)
)


@effort(300)
@given(DATAGRAMS, st.integers(0, 5))
@example(b'[{"fds":1},{"fds":-1},{"fds":1}]', 1)
@example(b"[" * 5000, 0)
@example(b'[{"fds":true}]', 1)
@example(b"@", 0)
@example(b"@", 1)
def test_what_is_received_holds_or_is_refused_and_no_descriptor_is_lost_or_given_twice(data: bytes, count: int) -> None:
    before = open_fds()
    ours, theirs = pair()
    with ours, theirs:
        null = os.open(os.devnull, os.O_RDONLY)
        socket.send_fds(theirs, [data], [null] * count)
        os.close(null)
        with suppress(ValueError):
            received = Wire(ours).receive()
            fds = [fd for _, own in received for fd in own]
            assert len(fds) == len(set(fds)) == count
            for fd in fds:
                os.close(fd)
    assert open_fds() == before


@pytest.mark.parametrize("size", [LARGEST_BODY + 1, 1 << 40])
def test_a_body_without_measure_is_refused_unread(size: int) -> None:
    body = os.memfd_create("large")
    os.ftruncate(body, size)
    refused(body)


def test_a_body_that_is_no_memory_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    refused(os.open(tmp_path / "fifo", os.O_RDWR))


def refused(body: int) -> None:
    before = open_fds()
    ours, theirs = pair()
    with ours, theirs:
        socket.send_fds(theirs, [b"@"], [body])
        os.close(body)
        with pytest.raises(ValueError, match="malformed"):
            Wire(ours).receive()
    assert open_fds() == before - 1


# -- the job's channel -------------------------------------------------------------------------------------------------

SPEAKS = """
import base64, os, socket, time

def speaks(datagrams):
    channel = socket.socket(fileno=3)
    null = os.open(os.devnull, os.O_RDONLY)
    for text in datagrams:
        try:
            socket.send_fds(channel, [base64.b64decode(text)], [null] * (len(text) % 3))
        except OSError:
            break

def fine():
    print("fine", flush=True)
"""
KINDS = [
    "serving",
    "ticked",
    "error",
    "start_failed",
    "ready",
    "heartbeat",
    "progress",
    "keep",
    "recall",
    "found",
    "missing",
    "reply",
    "state",
]
FIELDS = [
    "tick_id",
    "duration",
    "cpu",
    "error",
    "type",
    "message",
    "traceback",
    "file",
    "line",
    "step",
    "errno",
    "text",
    "done",
    "total",
    "note",
    "data",
    "id",
    "ask",
    "value",
    "run_id",
]
SAID = st.builds(
    lambda kind, fields: {"kind": kind, **fields},
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(FIELDS), JSON | st.sampled_from([1e400, -1e400, float("nan"), 1e300, "x" * 100]), max_size=7
    ),
)
TALK = st.lists(
    DATAGRAMS | st.lists(SAID, min_size=1, max_size=3).map(json.dumps).map(str.encode), min_size=1, max_size=12
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, SPEAKS) as made:
        yield made


@effort(40)
@given(talk=TALK)
@example(talk=[b'[{"kind":"ticked","tick_id":1,"duration":NaN,"cpu":1e999,"error":null}]'])
@example(talk=[b'[{"kind":"error","type":"a","message":"b","traceback":"c","file":[],"line":{}}]'])
def test_a_job_that_says_anything_harms_nobody_else(rig: Rig, talk: list[bytes]) -> None:
    raised: list[dict[str, Any]] = []
    rig.call(rig.loop.set_exception_handler, lambda _, context: raised.append(context))
    rig.ended(rig.run("fine"))
    before = rig.call(open_fds)
    run_id = rig.run("speaks", [base64.b64encode(each).decode() for each in talk])
    rig.ended(run_id)
    assert rig.ended(rig.run("fine")) == Code(0)
    assert raised == []
    eventually(lambda: rig.call(open_fds) == before)


# -- the fork server ---------------------------------------------------------------------------------------------------

ORDERS = st.fixed_dictionaries(
    {"order": st.sampled_from(["spawn", "probe", "stop", "kill", "ping", "nonsense"])},
    optional=dict.fromkeys(("run_id", "signal", "job", "cwd", "env", "argv", "target", "stop_signal", "fds"), JSON),
)


@effort(15)
@given(st.lists(DATAGRAMS | st.lists(ORDERS, max_size=3).map(json.dumps).map(str.encode), max_size=20))
def test_a_fork_server_that_is_told_anything_still_answers(datagrams: list[bytes]) -> None:
    ours, theirs = pair()
    with theirs:
        server = subprocess.Popen(
            modules.command("supervisor.engine.forkserver", str(theirs.fileno())),
            env={**os.environ, "JOBVISOR_RUN_ID": PLACEHOLDER},
            cwd=modules.cwd(),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    wire = Wire(ours)
    wire.put({"path": [], "preload": [], "environ": {}, "nofile": 1024, "cgroup": None})
    wire.flush()
    for each in datagrams:
        ours.setblocking(True)
        ours.send(each)
        ours.setblocking(False)
    wire.put({"order": "ping"})
    wire.flush()
    said: list[Any] = []

    def heard_pong() -> bool:
        said.extend(message for message, _ in wire.receive())
        return {"fact": "pong"} in said

    eventually(heard_pong)
    wire.close()
    assert server.wait(10) == 0
