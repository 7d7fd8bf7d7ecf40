import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served import served

from supervisor.control.client import connect
from supervisor.errors import ControlError, NoSupervisorError


async def echo(method: str, params: dict[str, Any]) -> Any:
    if method == "refuse":
        raise ControlError(4, 'no job "wbe"')
    return {"method": method, **params}


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """Answer one connection with these bytes once it has asked, then close it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_the_first_socket_that_answers_is_the_supervisors(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    candidates = [str(tmp_path / name) for name in ("missing.sock", "dead.sock", "control.sock")]
    with served(tmp_path / "control.sock", echo), connect(candidates) as client:
        assert client.ask("ping", {"n": 1}) == {"method": "ping", "n": 1}
        assert client.ask("pong") == {"method": "pong"}


def test_where_none_answers_it_says_where_was_tried_why_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(NoSupervisorError) as error:
        connect([str(tmp_path / "missing.sock"), str(tmp_path / "dead.sock")])
    assert str(error.value).splitlines() == [
        "no supervisor answers; start one with `jobvisor run`",
        f"  tried {tmp_path}/missing.sock: No such file or directory",
        f"  tried {tmp_path}/dead.sock: Connection refused",
    ]


def test_a_folder_that_is_missing_is_no_supervisor_however_long_its_path(tmp_path: Path) -> None:
    with pytest.raises(NoSupervisorError, match="No such file or directory"):
        connect([str(tmp_path / ("missing" * 30) / "control.sock")])


def test_a_path_too_long_for_an_address_is_reached(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "control.sock"
    with served(path, echo), connect([str(path)]) as client:
        assert client.ask("ping") == {"method": "ping"}


def test_a_refusal_is_raised_with_its_code(tmp_path: Path) -> None:
    with served(tmp_path / "control.sock", echo), connect([str(tmp_path / "control.sock")]) as client:
        with pytest.raises(ControlError, match='no job "wbe"') as error:
            client.ask("refuse")
        assert error.value.code == 4
        assert client.ask("ping") == {"method": "ping"}


def test_a_silent_supervisor_is_not_waited_for_longer_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with connect([str(path)]) as client, pytest.raises(ControlError, match=r"no answer .* within 0\.05 s"):
            client.ask("status", timeout=0.05)


@pytest.mark.parametrize("answer", [b"", b'{"id": 1, "resu'])
def test_a_supervisor_that_ends_before_it_answers_is_said(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "control.sock"
    with (
        answering(path, answer),
        connect([str(path)]) as client,
        pytest.raises(ControlError, match="ended before it answered"),
    ):
        client.ask("status")


def test_a_refusal_before_the_question_is_heard_is_still_said(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with connect([str(path)]) as client:
            peer, _ = listener.accept()
            peer.sendall(b'{"id": null, "error": {"code": 2, "message": "not allowed"}}\n')
            peer.close()
            with pytest.raises(ControlError, match="not allowed"):
                client.ask("status")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"[]\n", b'{"id": 1}\n', b"\xff\xfe\n"])
def test_somebody_elses_socket_is_said(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "control.sock"
    with (
        answering(path, answer),
        connect([str(path)]) as client,
        pytest.raises(ControlError, match="no supervisor's control socket"),
    ):
        client.ask("status")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_socket_that_one_may_not_use_is_not_reported_as_no_supervisor(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    answer, said = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        (tmp_path / "control.sock").chmod(0o600)
        child = os.fork()
        if child == 0:
            try:
                os.chdir(tmp_path)
                os.setuid(65_534)
                os.write(said, _refusal().encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    os.close(said)
    why = b"only root, the supervisor's own user and the members of its `socket_group` are"
    assert os.read(answer, 4096) == b"not allowed to use control.sock: " + why
    os.close(answer)


def _refusal() -> str:
    try:
        connect(["control.sock", "missing.sock"])
    except ControlError as error:
        return str(error)
    return "was let in"
