import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs.demo_api import server
from jobs.poll_api import PollError, poll

ROOT = Path(__file__).parents[2]


def test_answers_what_poll_api_asks_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with server(0) as api:
        thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{api.server_port}"
        try:
            poll(f"{address}/status")
            with pytest.raises(PollError, match="answered 404 Not Found"):
                poll(f"{address}/secrets")
        finally:
            api.shutdown()
            thread.join()
    assert '"status": "up"' in capsys.readouterr().out


def test_listens_on_loopback_alone() -> None:
    with server(0) as api:
        assert api.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_ends_it_with_a_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "jobs.demo_api", str(port)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; give the demo another port in jobs.toml\n"
    )


def test_without_a_port_it_shows_its_usage() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "jobs.demo_api"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "usage: python -m jobs.demo_api" in ended.stderr
