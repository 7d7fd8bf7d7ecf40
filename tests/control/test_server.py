import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from served import Served, served

from supervisor.control.peers import Peers
from supervisor.control.server import MOST_CONNECTIONS
from supervisor.errors import ControlError, JobvisorError

MIB = 1024 * 1024


class Echo:
    """A handler with one method for each thing that can happen."""

    def __init__(self) -> None:
        self.gone = False
        self._go: asyncio.Event | None = None

    async def __call__(self, method: str, params: dict[str, Any]) -> Any:
        self._go = self._go or asyncio.Event()
        match method:
            case "echo":
                return params
            case "size":
                return len(params["text"])
            case "big":
                return "x" * params["size"]
            case "wait":
                await self._go.wait()
                return "gone on"
            case "go":
                self._go.set()
                return "went"
            case "refuse":
                raise ControlError(4, 'no job "wbe"')
            case "count":
                return self._count(3)
            case "endless":
                return self._count(10**9)
            case "unspeakable":
                return object()
        raise RuntimeError("not on my watch")

    async def _count(self, until: int) -> AsyncIterator[int]:
        try:
            for number in range(until):
                yield number
                await asyncio.sleep(0)
        finally:
            self.gone = True


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(tmp_path: Path, echo: Echo) -> Iterator[Served]:
    with served(tmp_path / "control.sock", echo) as made:
        yield made


def test_a_request_is_answered_under_its_id(server: Served) -> None:
    with server.connect() as peer:
        peer.send("echo", ident="a7", text="é")
        assert peer.reply() == {"id": "a7", "result": {"text": "é"}}


def test_params_may_be_left_out(server: Served) -> None:
    with server.connect() as peer:
        peer.sock.sendall(b'{"id": 1, "method": "echo"}\n')
        assert peer.reply() == {"id": 1, "result": {}}


def test_requests_of_one_connection_are_answered_side_by_side(server: Served) -> None:
    with server.connect() as peer:
        peer.send("wait", ident=1)
        peer.send("go", ident=2)
        assert [peer.reply()["id"], peer.reply()["id"]] == [2, 1]


def test_a_client_that_has_said_all_still_gets_its_answers(server: Served) -> None:
    with server.connect() as peer, server.connect() as other:
        peer.send("wait")
        peer.sock.shutdown(socket.SHUT_WR)
        other.ask("go")
        assert peer.reply()["result"] == "gone on"
        assert peer.reply() is None


@pytest.mark.parametrize(
    ("line", "ident"),
    [
        (b"\x00\xff\xfe\n", None),
        (b"\n", None),
        (b'{"id": 7, "method"\n', None),
        (b"[" * 100_000 + b"\n", None),
        (b"1" * 5000 + b"\n", None),
        (b"[1, 2]\n", None),
        (b'"status"\n', None),
        (b"null\n", None),
        (b'{"method": 3}\n', None),
        (b'{"id": 7}\n', 7),
        (b'{"id": 7, "method": "echo", "params": [1]}\n', 7),
        (b'{"id": 7, "method": "echo", "params": null}\n', 7),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
def test_a_malformed_request_gets_an_error_and_the_connection_goes_on(
    server: Served, line: bytes, ident: int | None
) -> None:
    with server.connect() as peer:
        peer.sock.sendall(line)
        refused = peer.reply()
        assert refused["id"] == ident
        assert refused["error"]["code"] == 2
        assert peer.ask("echo", n=1) == {"n": 1}
    assert server.warnings == []


def test_a_refusal_carries_code_and_text(server: Served) -> None:
    with server.connect() as peer:
        peer.send("refuse")
        assert peer.reply() == {"id": 1, "error": {"code": 4, "message": 'no job "wbe"'}}


@pytest.mark.parametrize("method", ["explode", "unspeakable"])
def test_a_request_that_fails_is_warned_of_with_its_traceback_and_nothing_else_fails(
    server: Served, method: str
) -> None:
    with server.connect() as peer:
        peer.send(method)
        error = peer.reply()["error"]
        assert error["code"] == 1
        assert error["message"].startswith("internal error: ")
        assert peer.ask("echo", n=1) == {"n": 1}
    [warning] = server.warnings
    assert warning.startswith(f"control: {method} failed\nTraceback")


def test_a_stream_sends_many_results_and_then_its_end(server: Served) -> None:
    with server.connect() as peer:
        peer.send("count", ident=5)
        assert [peer.reply() for _ in range(4)] == [
            {"id": 5, "result": 0},
            {"id": 5, "result": 1},
            {"id": 5, "result": 2},
            {"id": 5, "end": True},
        ]
        assert peer.ask("echo", n=1) == {"n": 1}


def test_a_stream_ends_when_its_client_has_gone(server: Served, echo: Echo) -> None:
    with server.connect() as peer:
        peer.send("endless")
        assert peer.reply()["result"] == 0
        assert not echo.gone
    eventually(lambda: echo.gone)
    assert server.warnings == []


def test_a_stream_waits_for_a_client_that_reads_slowly(server: Served, echo: Echo) -> None:
    with server.connect() as slow, server.connect() as other:
        slow.send("endless")
        assert other.ask("echo", n=1) == {"n": 1}
        assert not slow.is_hung_up
        assert [slow.reply()["result"] for _ in range(5000)] == list(range(5000))
        assert not echo.gone


def test_a_line_of_one_mebibyte_is_taken_and_a_longer_one_ends_the_connection(server: Served) -> None:
    frame = len(json.dumps({"id": 1, "method": "size", "params": {"text": ""}}))
    with server.connect() as peer:
        peer.send("size", text="x" * (MIB - frame))
        assert peer.reply()["result"] == MIB - frame
        peer.send("size", text="x" * (MIB - frame + 1))
        assert "longer than 1 MiB" in peer.reply()["error"]["message"]
        assert peer.reply() is None


def test_ten_megabytes_without_a_newline_are_refused_and_dropped(server: Served) -> None:
    with server.connect() as peer:
        with pytest.raises(ConnectionError):
            peer.sock.sendall(b"x" * 10 * MIB)
        assert "longer than 1 MiB" in peer.reply()["error"]["message"]
    with server.connect() as other:
        assert other.ask("echo", n=1) == {"n": 1}


def test_half_a_request_holds_nobody_up(server: Served) -> None:
    with server.connect() as half, server.connect() as other:
        half.sock.sendall(b'{"id": 1, "meth')
        assert other.ask("echo", n=1) == {"n": 1}
        half.sock.sendall(b'od": "echo"}\n')
        assert half.reply() == {"id": 1, "result": {}}


def test_a_request_that_ends_without_a_newline_is_told_so(server: Served) -> None:
    with server.connect() as peer:
        peer.sock.sendall(b'{"id": 1, "method": "echo"}')
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.reply()["error"]["message"] == "a request ends with a newline"
        assert peer.reply() is None


def test_a_client_that_reads_nothing_is_dropped_once_too_much_waits_for_it(server: Served) -> None:
    with server.connect() as slow, server.connect() as other:
        with suppress(BrokenPipeError):  # the server may have dropped it before the last request is sent
            for ident in range(20):
                slow.send("big", ident=ident, size=MIB)
        eventually(lambda: slow.is_hung_up)
        assert other.ask("echo", n=1) == {"n": 1}


def test_one_answer_larger_than_the_bound_arrives_whole(server: Served) -> None:
    with server.connect() as peer:
        assert len(peer.ask("big", size=6 * MIB)) == 6 * MIB


def test_two_hundred_clients_at_once_are_all_answered(server: Served) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(server.connect()) for _ in range(200)]
        for number, peer in enumerate(peers):
            peer.send("echo", n=number)
        assert [peer.reply()["result"]["n"] for peer in peers] == list(range(200))


def test_past_the_most_connections_the_one_silent_for_longest_makes_room(server: Served) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(server.connect()) for _ in range(MOST_CONNECTIONS)]
        for peer in peers:
            peer.ask("echo")
        waiting, first, second, *_ = peers
        waiting.send("wait")
        first.ask("echo")
        newcomer = stack.enter_context(server.connect())
        assert newcomer.ask("echo", n=1) == {"n": 1}
        eventually(lambda: second.is_hung_up)
        assert first.ask("echo", n=2) == {"n": 2}
        newcomer.ask("go")
        assert waiting.reply()["result"] == "gone on"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_files_mode_lets_him_in(tmp_path: Path, echo: Echo) -> None:
    tmp_path.chmod(0o711)
    may_ask, go = os.pipe()
    answer, said = os.pipe()
    child = os.fork()  # before the server has its thread
    if child == 0:
        try:
            os.chdir(tmp_path)
            os.read(may_ask, 1)
            os.write(said, _asked_by_nobody())
        finally:
            os._exit(0)
    with served(tmp_path / "control.sock", echo) as server:
        Path(server.path).chmod(0o666)
        os.write(go, b"!")
        os.waitpid(child, 0)
        os.close(said)
        reply = json.loads(os.read(answer, 4096))
    for fd in (may_ask, go, answer):
        os.close(fd)
    assert reply["error"]["message"].startswith("not allowed")
    assert "result" not in reply


def _asked_by_nobody() -> bytes:
    os.setgroups([])
    os.setgid(65_534)
    os.setuid(65_534)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect("control.sock")
        with suppress(BrokenPipeError):  # already refused
            sock.sendall(b'{"id": 1, "method": "echo"}\n')
        return sock.recv(4096)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_is_not_in_the_group_cannot_give_it_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.touch()
    for each in (tmp_path, path):
        os.chown(each, 65_534, 65_534)
    answer, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(tmp_path)
            os.setgroups([])
            os.setuid(65_534)
            os.write(said, _admission().encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(said)
    with os.fdopen(answer) as lines:
        assert lines.read() == (
            'cannot give the control socket to group "54321": the supervisor\'s user is neither root nor in it; '
            "add the user to the group, or remove `socket_group`"
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to any group")
def test_another_group_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "state" / "control.sock"
    path.parent.mkdir(mode=0o700)
    for group in (54_321, 54_322):
        path.touch()
        peers = Peers(group)
        peers.admit(str(path))
        assert not [each for each in peers.closed_folders(str(path)) if f"{path.parent} is closed" in each]
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (group, 0o660)
        assert (path.parent.stat().st_gid, stat.S_IMODE(path.parent.stat().st_mode)) == (group, 0o710)


def _admission() -> str:
    try:
        Peers(54_321).admit("control.sock")
    except JobvisorError as error:
        return str(error)
    return "admitted"


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_the_socket_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, echo: Echo, umask: int) -> None:
    before = os.umask(umask)
    try:
        with served(tmp_path / "control.sock", echo) as server:
            assert stat.S_IMODE(Path(server.path).stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_its_folder_is_made_for_its_owner_alone(tmp_path: Path, echo: Echo) -> None:
    with served(tmp_path / "state" / "control.sock", echo):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_the_socket_of_a_dead_supervisor_is_replaced(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    with served(path, echo) as server, server.connect() as peer:
        assert peer.ask("echo", n=1) == {"n": 1}


def test_the_socket_of_a_living_supervisor_is_not(server: Served, echo: Echo) -> None:
    with pytest.raises(JobvisorError, match="another supervisor does"), served(Path(server.path), echo):
        pass
    with server.connect() as peer:
        assert peer.ask("echo", n=1) == {"n": 1}


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / "data.db"
    path.write_text("precious")
    with pytest.raises(JobvisorError, match="no socket is there"), served(path, echo):
        pass
    assert path.read_text() == "precious"


def test_a_path_that_cannot_be_bound_is_said_in_a_sentence(tmp_path: Path, echo: Echo) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(JobvisorError, match="cannot listen on the control socket"),
        served(tmp_path / "file" / "control.sock", echo),
    ):
        pass


def test_a_path_too_long_for_an_address_works_like_any_other(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / ("long" * 30) / ("longer" * 30) / "control.sock"
    with served(path, echo) as server, server.connect() as peer:
        assert peer.ask("echo", n=1) == {"n": 1}
    with served(path, echo) as server, server.connect() as peer:
        assert peer.ask("echo", n=2) == {"n": 2}
    assert not path.exists()


def test_the_file_goes_with_the_server(tmp_path: Path, echo: Echo) -> None:
    with served(tmp_path / "control.sock", echo) as server:
        assert Path(server.path).is_socket()
    assert not Path(server.path).exists()


def test_a_file_that_has_taken_its_place_stays(tmp_path: Path, echo: Echo) -> None:
    with served(tmp_path / "control.sock", echo) as server:
        (tmp_path / "other").write_text("not mine")
        (tmp_path / "other").rename(server.path)
    assert Path(server.path).read_text() == "not mine"


def test_at_the_end_answers_under_way_arrive_and_all_connections_close(tmp_path: Path, echo: Echo) -> None:
    with ExitStack() as stack, served(tmp_path / "control.sock", echo) as server:
        *idle, big = (stack.enter_context(server.connect()) for _ in range(20))
        for peer in (*idle, big):
            peer.ask("echo")
        big.send("wait")
        idle[0].ask("go")
        server.close()
        assert big.reply()["result"] == "gone on"
        assert [peer.reply() for peer in (*idle, big)] == [None] * 20
