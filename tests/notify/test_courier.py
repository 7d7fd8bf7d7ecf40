import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually, is_alive
from program import pid_in
from receiver import nobody, receiving

from supervisor.core.notifier import Notifier, Program, Webhook
from supervisor.notify.courier import CAPACITY, Courier
from supervisor.notify.delivery import Undelivered
from supervisor.notify.program import ByProgram
from supervisor.notify.webhook import ByWebhook

NOTICE = {"event": "failure", "job": "web", "run_id": 7, "manifest": "/app/jobs.toml"}
SHORT = 0.3


def hook(url: str, *, ping: bool = False, timeout: float = 60.0) -> ByWebhook:
    return ByWebhook(Webhook(url=url, ping=ping), timeout)


def program(folder: Path, code: str, timeout: float = 60.0) -> ByProgram:
    return ByProgram(Program(argv=(sys.executable, "-c", code)), timeout, environ=os.environ, folder=str(folder))


# -- one try -----------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_json_by_post() -> None:
    with receiving() as server:
        hook(f"{server.url}/T0/B0?x=1")(NOTICE)
        [(path, headers, body)] = server.requests
    assert path == "/T0/B0?x=1"
    assert body == NOTICE
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("jobvisor/")
    assert "Authorization" not in headers


def test_user_and_password_of_an_address_are_sent_as_such() -> None:
    with receiving() as server:
        hook(server.url.replace("http://", "http://me:pw@"))(NOTICE)
        assert server.requests[0][1]["Authorization"] == "Basic bWU6cHc="


@pytest.mark.parametrize(("event", "path"), [("start", "/uuid/start"), ("success", "/uuid"), ("fail", "/uuid/fail")])
def test_a_ping_says_in_its_path_how_the_run_goes_and_in_its_query_which_it_is(event: str, path: str) -> None:
    with receiving() as server:
        hook(f"{server.url}/uuid", ping=True)({**NOTICE, "event": event})
        hook(f"{server.url}/uuid/?a=b", ping=True)({**NOTICE, "event": event})
        first, second = server.paths
    assert first.startswith(f"{path}?rid=")
    assert len(first.partition("rid=")[2]) == 36
    assert second == f"{path}?a=b&{first.partition('?')[2]}"


@pytest.mark.parametrize(
    ("answer", "why", "again"),
    [
        (500, "answered 500", True),
        (429, "answered 429", True),
        (404, "answered 404", False),
        (301, "answered 301", False),
        ("hang", "no answer within 0.3 s", True),
        ("drip", "no answer within 0.3 s", True),
        ("garbage", "BadStatusLine", True),
    ],
)
def test_a_bad_answer_says_why_without_the_address(answer: int | str, why: str, again: bool) -> None:  # noqa: FBT001
    with receiving(answer) as server:
        with pytest.raises(Undelivered) as caught:
            hook(f"{server.url}/secret?token=secret", timeout=SHORT if answer in {"hang", "drip"} else 60)(NOTICE)
        assert str(caught.value) == f"{server.url}/…: {why}"
    assert caught.value.again is again


def test_nobody_there_is_said() -> None:
    url = nobody()
    with pytest.raises(Undelivered) as caught:
        hook(url)(NOTICE)
    assert str(caught.value) == f"{url}/…: Connection refused"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that nobody has signed but itself, with its key."""
    path = tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "only.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (tmp_path / "only.pem").read_text())
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(context=context) as server:
        with pytest.raises(Undelivered) as caught:
            hook(server.url.replace("http:", "https:"))(NOTICE)
        assert "certificate" in str(caught.value).lower()
        assert server.requests == []


def test_a_program_gets_json_on_stdin(tmp_path: Path) -> None:
    program(tmp_path, "import sys, pathlib; pathlib.Path('got').write_text(sys.stdin.read())")(NOTICE)
    assert (tmp_path / "got").read_text().startswith('{"event": "failure", "job": "web"')


def test_a_program_that_fails_says_so_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match=r"ended with exit code 3: no route$"):
        program(tmp_path, "import sys; print('one\\nno route', file=sys.stderr); sys.exit(3)")(NOTICE)


@pytest.mark.parametrize(("code", "words"), [(0, None), (3, "ended with exit code 3: bad")])
def test_a_program_has_ended_when_it_ends_whoever_holds_its_pipes(tmp_path: Path, code: int, words: str | None) -> None:
    """A daemon that it leaves has a session of its own, so it lives on, with the program's stdin and stderr."""
    daemon = (
        "import subprocess, pathlib, sys\n"
        "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        f"print('bad', file=sys.stderr); sys.exit({code})"
    )
    deliver = program(tmp_path, daemon, timeout=600.0)
    try:
        if words is None:
            deliver(NOTICE)
        else:
            with pytest.raises(Undelivered, match=words):
                deliver(NOTICE)
        assert is_alive(pid_in(tmp_path / "pid"))
    finally:
        os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)


def test_a_program_gets_a_long_notice_whole_and_may_say_much(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "sys.stderr.write('x' * 1_000_000)\n"
        "pathlib.Path('got').write_text(sys.stdin.read())\n"
        "sys.stderr.write('\\nlast'); sys.exit(4)"
    )
    with pytest.raises(Undelivered, match=r"ended with exit code 4: last$"):
        program(tmp_path, code)({**NOTICE, "text": "y" * 1_000_000})
    assert (tmp_path / "got").read_text().count("y") == 1_000_000


def test_a_program_that_reads_nothing_may_end_well(tmp_path: Path) -> None:
    program(tmp_path, "import os; os.close(0)")({**NOTICE, "text": "y" * 1_000_000})


def test_a_program_that_says_something_all_the_time_is_killed_too(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match=r"took more than 2 s, and was killed"):
        program(tmp_path, "import sys\nwhile True: sys.stderr.write('more ' * 1000)", 2.0)(NOTICE)


def test_a_program_that_hangs_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, time, pathlib\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "time.sleep(1000)"
    )
    with pytest.raises(Undelivered, match=r"took more than 5 s, and was killed"):
        program(tmp_path, code, 5.0)(NOTICE)
    eventually(lambda: not is_alive(pid_in(tmp_path / "pid")))


def test_a_program_that_is_not_there_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(Undelivered) as caught:
        ByProgram(Program(argv=("no-such-program",)), 1.0, environ=os.environ, folder=str(tmp_path))(NOTICE)
    assert (str(caught.value), caught.value.again) == ("cannot start no-such-program: No such file or directory", False)


# -- a courier ---------------------------------------------------------------------------------------------------------


class Sent:
    """A courier and what it has warned of."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.warnings: list[str] = []
        notifier = Notifier(name="ops", to=Webhook(url=url), **{"timeout": timedelta(minutes=1), **settings})
        self.courier = Courier(notifier, environ={}, folder="/", warn=self.warnings.append, first_pause=0.01)

    def put(self, *run_ids: int) -> None:
        for run_id in run_ids:
            self.courier.put({**NOTICE, "run_id": run_id})


@contextmanager
def sending(url: str, **settings: Any) -> Iterator[Sent]:
    made = Sent(url, **settings)
    try:
        yield made
    finally:
        made.courier.close(time.monotonic() + 60)


def ids(bodies: list[Any]) -> list[int]:
    return [body["run_id"] for body in bodies]


def test_notices_arrive_in_order() -> None:
    with receiving() as server, sending(server.url) as sent:
        sent.put(1, 2, 3)
        eventually(lambda: ids(server.bodies) == [1, 2, 3])
        assert sent.courier.trouble is None
    assert sent.warnings == []


def test_a_server_that_answers_500_is_tried_again_and_trouble_is_said_until_it_is_over() -> None:
    with receiving(500, 500, 200) as server, sending(f"{server.url}/secret") as sent:
        sent.put(1)
        eventually(lambda: len(server.requests) == 3)
        eventually(lambda: len(sent.warnings) == 2)
        assert sent.warnings == [
            f"notify.ops: not delivered: {server.url}/…: answered 500",
            "notify.ops: delivered again; 0 notices were dropped",
        ]
        assert sent.courier.trouble is None


def test_after_its_retries_a_notice_is_dropped_and_the_next_has_its_turn() -> None:
    with receiving(500, 500, 200) as server, sending(server.url, retries=1) as sent:
        sent.put(1, 2)
        eventually(lambda: ids(server.bodies) == [1, 1, 2])
        eventually(lambda: "delivered again; 1 notices were dropped" in sent.warnings[-1])


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    with receiving(404) as server, sending(server.url) as sent:
        sent.put(1, 2)
        eventually(lambda: ids(server.bodies) == [1, 2])
        eventually(lambda: sent.courier.trouble and "answered 404 (0 waiting, 2 dropped)" in sent.courier.trouble)


def test_what_cannot_even_be_loaded_is_said_and_the_next_notice_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Python that was built without TLS."""
    with receiving() as server, sending(server.url) as sent:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "supervisor.notify.webhook", None)
            sent.put(1)
            eventually(lambda: sent.courier.trouble and "ModuleNotFoundError" in sent.courier.trouble)
        sent.put(2)
        eventually(lambda: ids(server.bodies) == [2])


def test_a_server_that_hangs_holds_up_nobody_and_the_queue_is_bounded() -> None:
    with receiving("hang") as server, sending(server.url, timeout=timedelta(minutes=1)) as sent:
        sent.put(*range(CAPACITY + 50))
        eventually(lambda: server.requests)
        sent.put(1000)
        assert len(sent.courier._waiting) == CAPACITY
        server.release()


def test_closing_tries_what_waits_once_more_and_says_what_is_lost() -> None:
    sent = Sent(nobody(), retries=100)
    sent.put(1, 2)
    eventually(lambda: sent.warnings)
    until = time.monotonic() + 60
    sent.courier.close(until)
    assert time.monotonic() < until
    assert threading.active_count() < 50
    sent.put(3)
    assert len(sent.courier._waiting) == 0


def test_no_thread_and_no_library_before_the_first_notice() -> None:
    code = (
        "import sys\n"
        "import supervisor.supervise\n"
        "print(*({'http.client', 'urllib.request', 'supervisor.notify.webhook'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    sent = Sent(nobody())
    assert sent.courier._thread is None
    sent.courier.close(0)


def test_no_thread_to_be_had_is_said_and_the_next_notice_takes_the_waiting_one_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as server, sending(server.url) as sent:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            sent.put(1)
        assert sent.warnings == ["notify.ops: not delivered: can't start new thread"]
        sent.put(2)
        eventually(lambda: ids(server.bodies) == [1, 2])


def test_a_courier_that_never_got_a_thread_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(nobody())
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    sent.put(1)
    sent.courier.close(0)
    assert sent.warnings[-1] == "notify.ops: 1 notices were not delivered"


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
