"""No secret, told by its name, is in anything that Jobvisor itself writes or shows. The real program."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

SECRET = "hunter2hunter2"  # noqa: S105  # not one of ours
FROM_FILE = "correct-horse-battery"
ARGUMENT = "opensesame-123"
WORDS = (SECRET, FROM_FILE, ARGUMENT)
CODE = """
import os
from supervisor import Worker

def fails(**_):
    token, password, place = map(os.environ.get, ["API_TOKEN", "DB_PASSWORD", "PLACE"])
    raise ValueError(f"cannot log in with {token} or {password} at {place}")

class Ticks(Worker):
    def tick(self):
        fails()
"""
JOBS = f"""
[jobs.once]
run = "jobs.secretive:fails"
kwargs = {{ api_key = "{ARGUMENT}", retries = 3, nested = {{ password = "{ARGUMENT}", host = "example.org" }} }}
restart = "never"
env_file = "secrets.env"
env = {{ API_TOKEN = "{SECRET}", PLACE = "example.org" }}
notify = ["people"]
[jobs.worker]
run = "jobs.secretive:Ticks"
every = "1h"
run_at_start = true
restart = "never"
env_file = "secrets.env"
env = {{ API_TOKEN = "{SECRET}", PLACE = "example.org" }}
[notify.people]
on = ["failure"]
webhook = "http://127.0.0.1:PORT/hook/{SECRET}"
"""
TOLD = "cannot log in with [API_TOKEN] or [DB_PASSWORD] at example.org"


class Hook(BaseHTTPRequestHandler):
    """Takes notices."""

    heard: list[str] = []  # noqa: RUF012  # one for the one server

    def do_POST(self) -> None:
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[int]:
    Hook.heard.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def app(tmp_path: Path, hook: int) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(JOBS.replace("PORT", str(hook)), secretive=CODE)
        secrets = tmp_path / "secrets.env"
        secrets.write_text(f"DB_PASSWORD={FROM_FILE}\n")
        secrets.chmod(0o600)
        yield made


def clean(*texts: str) -> None:
    for text in texts:
        for word in WORDS:
            assert word not in text


def test_what_is_recorded_and_shown_has_names_in_the_place_of_secrets(app: Program) -> None:
    app.run()
    app.eventually_job("once", state="failed")
    eventually(lambda: app.job("worker")["failures"])
    eventually(lambda: TOLD in app.ctl("show", "once").stdout)
    commands = ("status", "history", "errors", "show once", "show worker", "logs", "reload --plan", "check", "forecast")
    for words in commands:
        done = app.ctl(*words.split())
        clean(done.stdout, done.stderr)
        if words not in {"logs", "check"}:
            clean(app.ctl(*words.split(), "--json").stdout)
    assert TOLD in app.ctl("history", "--json").stdout
    settings = app.json("show", "once")["settings"]
    assert {each["key"]: each["value"] for each in settings if each["key"].startswith("kwargs.")} == {
        "kwargs.api_key": "(hidden)",
        "kwargs.retries": 3,
        "kwargs.nested": {"password": "(hidden)", "host": "example.org"},
    }
    assert TOLD in app.output("once"), "the traceback in the job's log"
    clean(app.log, app.output("once"), app.output("worker"), *eventually(lambda: Hook.heard))
    state = app.folder / ".jobvisor"
    app.end()
    clean(*(path.read_bytes().decode(errors="replace") for path in state.rglob("*") if path.is_file()))


def test_what_an_edit_is_said_to_change_has_no_values(app: Program) -> None:
    app.run()
    edited = (
        (app.folder / "jobs.toml").read_text().replace(ARGUMENT, f"{ARGUMENT}-new").replace(SECRET, f"{SECRET}-new")
    )
    app.write(edited)
    (app.folder / "secrets.env").write_text(f"DB_PASSWORD={FROM_FILE}-new\n")
    for words in ("reload --plan", "reload --plan --json", "reload"):
        done = app.ctl(*words.split())
        assert "kwargs.api_key" in done.stdout or words == "reload"
        clean(done.stdout, done.stderr)
    clean(app.log)


def test_exec_shows_none_either(app: Program) -> None:
    done = app.ctl("exec", "once")
    assert done.returncode == 1
    assert TOLD in done.stderr
    clean(done.stdout, done.stderr)


def test_a_hook_of_the_jobs_own_gets_the_exception_as_it_is(app: Program) -> None:
    """What reports errors elsewhere, as Sentry does, is the job's own business."""
    hooked = "import sys\nsys.excepthook = lambda kind, error, trace: print('hook:', error, file=sys.stderr)\n"
    app.write((app.folder / "jobs.toml").read_text(), secretive=hooked + CODE)
    assert f"hook: cannot log in with {SECRET}" in app.ctl("exec", "once").stderr
