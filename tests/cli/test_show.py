from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from program import Program, program

MANIFEST = """
[defaults]
timeout = "10m"
stop_timeout = "3s"
backoff = { factor = 3 }

[jobs.web]
description = "serves"
command = ["sh", "-c", "sleep 1000 & exec sleep 1001"]
backoff = { initial = "2s" }
env = { TOKEN = "xyzzy" }

[jobs.broken]
run = "jobs.broken:run"
every = "1h"
run_at_start = true

[jobs.nightly]
command = "true"
cron = "0 2 * * *"
"""
BROKEN = "def run():\n    print('on my way')\n    raise ValueError('no such luck')\n"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as made:
        made.write(MANIFEST, broken=BROKEN)
        yield made


def test_settings_are_told_with_the_place_where_they_are_written(app: Program) -> None:
    app.run()
    app.eventually_job("web", state="running")
    told = {each["key"]: each for each in app.json("show", "web")["settings"]}
    places = {key: (each["value"], each["origin"], each["where"]) for key, each in told.items()}
    assert places["description"] == ("serves", "job", "jobs.toml:8")
    assert places["stop_timeout"] == ("3s", "defaults", "jobs.toml:4")
    assert places["backoff.initial"] == ("2s", "job", "jobs.toml:10")
    assert places["backoff.factor"] == (3.0, "defaults", "jobs.toml:5")
    assert places["backoff.max"] == ("30s", "default", None)
    assert places["env.TOKEN"] == ("(hidden)", "job", "jobs.toml:11")
    assert "timeout" not in told
    app.write(MANIFEST.replace("[jobs.web]\n", "[jobs.web]\n# a line more\n"))
    assert app.ctl("reload").stdout == "nothing has changed\n"
    assert app.json("show", "web")["settings"][0]["where"] == "jobs.toml:9"
    assert "timezone" not in told
    assert "xyzzy" not in app.ctl("show", "web").stdout


def test_the_description_is_shown_by_status_and_its_json_is_that_of_the_contract(app: Program) -> None:
    app.run()
    head, web, *_ = app.ctl("status", "web", "nightly").stdout.splitlines()
    assert (head.split()[-2:], web.split()[-1]) == (["HEALTH", "DESCRIPTION"], "serves")
    assert "DESCRIPTION" not in app.ctl("status", "nightly").stdout
    status = app.json("status")
    assert list(status) == ["supervisor", "jobs", "groups", "warnings"]
    assert list(status["supervisor"]) == ["pid", "version", "started_at", "manifest", "healthy"]
    last = ["run_id", "due_at", "started_at", "ended_at", "outcome", "exit_code", "signal", "error"]
    figures = [
        "runs",
        "failures",
        "restarts",
        "cpu_percent",
        "rss_bytes",
        "pss_bytes",
        "last",
        "next_due_at",
        "progress",
    ]
    keys = ["name", "instance", "node", "state", "health", "reason", "pid", "started_at", "uptime_s", *figures]
    assert [list(job) for job in status["jobs"]] == [keys] * 3
    assert list(app.eventually_job("broken", runs=1, state="waiting")["last"]) == last


def test_what_a_group_settles_is_told_with_its_place_in_the_group(app: Program) -> None:
    app.write("""
[defaults]
max_restarts = 9
backoff = { factor = 3 }

[groups.site]
within = "5m"
backoff = { initial = "2s" }

[jobs.web]
command = "true"
group = "site"

[jobs.db]
command = "true"
group = "site"
backoff = { initial = "3s" }
""")
    web, db = (
        {each["key"]: (each["value"], each["origin"], each["where"]) for each in app.json("show", name)["settings"]}
        for name in ("web", "db")
    )
    assert web["within"] == db["within"] == ("5m", "group", "jobs.toml:7")
    assert "max_restarts" not in web
    assert web["backoff.initial"] == ("2s", "group", "jobs.toml:8")
    assert web["backoff.factor"] == (2.0, "default", None)
    assert db["backoff.initial"] == ("3s", "job", "jobs.toml:17")
    assert db["backoff.factor"] == (3.0, "defaults", "jobs.toml:4")


def test_the_process_tree_is_shown(app: Program) -> None:
    app.run()
    pid = app.eventually_job("web", state="running")["pid"]
    tree = eventually(lambda: (tree := app.json("show", "web")["instances"][0]["processes"])["children"] and tree)
    assert (tree["pid"], tree["command"]) == (pid, "sleep 1001")
    assert [child["command"] for child in tree["children"]] == ["sleep 1000"]
    assert tree["rss_bytes"] > 0
    assert f"  {pid} sleep 1001  (up " in app.ctl("show", "web").stdout


def test_the_last_error_comes_with_its_traceback_and_output(app: Program) -> None:
    app.run()
    app.eventually_job("broken", failures=1)
    told = eventually(lambda: (told := app.json("show", "broken"))["error"]["output"] and told)
    assert told["error"]["error"]["type"] == "ValueError"
    assert told["error"]["output"][0] == "on my way"
    assert "no such luck" in told["error"]["traceback"]
    assert [run["outcome"] for run in told["runs"]] == ["failed"]
    assert len(told["next"]) == 5
    text = app.ctl("show", "broken").stdout
    assert "ValueError broken.py:3: no such luck" in text
    assert "  | on my way" in text


def test_without_a_supervisor_the_files_are_read(app: Program) -> None:
    app.run()
    app.eventually_job("broken", failures=1)
    app.end()
    done = app.ctl("show", "broken")
    assert done.returncode == 0, done.stderr
    assert "no supervisor is running" in done.stdout
    assert "ValueError broken.py:3: no such luck" in done.stdout
    told = app.json("show", "nightly")
    assert [at[10:] for at in told["next"]] == ["T02:00:00Z"] * 5
    assert (told["instances"], told["runs"], told["error"]) == ([], [], None)


def test_an_unknown_name_is_4_with_and_without_a_supervisor(app: Program) -> None:
    assert app.ctl("show", "wbe").returncode == 4
    app.run()
    done = app.ctl("show", "wbe")
    assert (done.returncode, done.stderr) == (4, 'no job "wbe"; did you mean "web"?\n')
    assert "name one of them" in app.ctl("show", "*").stderr
