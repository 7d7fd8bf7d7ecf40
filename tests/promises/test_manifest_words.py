"""Words of jobs.toml that no other test reads to the letter."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from manifests import job, parsed, problem, problems
from program import Program, program

from supervisor.core.durations import parse_signal
from supervisor.core.exits import SuccessExit
from supervisor.core.manifest.keys import BACKOFF, HISTORY, JOB, LOG, NOTIFY, OWN_LOG, SUPERVISOR, TOP
from supervisor.core.manifest.readers import Duration
from supervisor.core.manifest.tables import Keys

# -- values ------------------------------------------------------------------------------------------------------------

EXAMPLES = """
[supervisor]
preload = []
state_dir = ".jobvisor"
log_dir = ".jobvisor/logs"
timezone = "UTC"
max_running = 3
vitals = "10s"
pythonpath = []
log = {level = "INFO", file = "x.log"}
stop_timeout = "30s"
max_restarts = 0
within = "60s"
history = {keep = "30d", keep_runs = 1000}
[defaults]
env = {}
[jobs.a]
description = "x"
command = ["true"]
[jobs.b]
command = "true -x 'y z'"
success_exit = [0, 75, "SIGTERM"]
max_restarts = 5
within = "60s"
on_give_up = "escalate"
max_age = "1 day"
backoff = {initial = "500ms", factor = 2, max = "30s", jitter = 0.1}
after = []
instances = 2
stop_signal = "TERM"
stop_timeout = "none"
start_timeout = "30s"
settle = "1s"
ready = "notify"
health = {http = "http://127.0.0.1:1/", every = "10s", timeout = "2s", failures = 3, action = "report"}
heartbeat = "30s"
env_file = "e.env"
cwd = "."
umask = "022"
nice = 5
stdin = "null"
limits = {memory = "512M", cpu_time = "10m", open_files = 1024, processes = 64, core = "0"}
log = {max_size = "10M", keep = 5, timestamps = true, stderr = "merge"}
notify = ["ops"]
[jobs.c]
run = "json:dumps"
args = []
kwargs = {}
at = 2026-12-01T10:00:00Z
timeout = "90s"
log = "inherit"
[jobs.d]
run = "json:dumps"
cron = "0 2 * * *"
timezone = "local"
jitter = "30s"
overlap = "allow"
max_parallel = 2
missed = "all"
missed_within = "1h 30m"
missed_limit = 3
late_after = "0.5h"
expect_success_within = "26h"
retries = 3
deadline = "2 weeks"
pause_after_failures = 3
log = "journal"
[jobs.e]
command = "true"
every = "5m"
align = "clock"
offset = "250ms"
run_at_start = true
log = "null"
enabled = false
[jobs.f]
command = "echo $HOME"
shell = true
delay = "1h30m"
[groups.g]
strategy = "rest_for_one"
max_restarts = 3
within = "48h"
backoff = "none"
on_give_up = "fence"
[groups.h]
group = "g"
[jobs.gg]
command = "true"
group = "h"
[notify.ops]
on = ["failure", "recovery", "late", "give_up"]
command = ["cat"]
[notify.hc]
webhook = "https://example.com/x"
ping = true
"""


def test_every_value_that_the_contract_shows_is_taken() -> None:
    made = parsed(EXAMPLES, {"/app/e.env": "A=1\n"})
    assert [each.name for each in made.jobs] == ["a", "b", "c", "d", "e", "f", "gg"]
    assert made.warnings == ()


# -- the tables of keys ------------------------------------------------------------------------------------------------

DEFAULTS: dict[str, tuple[Keys, dict[str, str | None]]] = {
    "[supervisor]": (
        SUPERVISOR,
        {
            "preload": "[]",
            "socket_group": None,
            "timezone": '"UTC"',
            "max_running": None,
            "vitals": '"10s"',
            "pythonpath": "[]",
            "stop_timeout": '"30s"',
            "max_restarts": "0",
            "within": '"60s"',
        },
    ),
    "[supervisor] log": (OWN_LOG, {"level": '"INFO"'}),
    "[supervisor] history": (HISTORY, {"keep": '"30d"', "keep_runs": "1000"}),
    "[jobs.NAME]": (
        JOB,
        {
            "args": "[]",
            "kwargs": "{}",
            "enabled": "true",
            "restart": '"always"',
            "success_exit": "[0]",
            "max_restarts": None,
            "within": '"60s"',
            "on_give_up": '"fence"',
            "max_age": None,
            "group": None,
            "after": "[]",
            "instances": "1",
            "stop_signal": '"TERM"',
            "stop_timeout": '"10s"',
            "start_timeout": '"30s"',
            "settle": '"1s"',
            "ready": None,
            "health": None,
            "heartbeat": None,
            "env": "{}",
            "stdin": '"null"',
        },
    ),
    "backoff": (BACKOFF, {"initial": '"500ms"', "factor": "2", "max": '"30s"', "jitter": "0.1"}),
    "health": (JOB["health"].inside or {}, {"every": '"10s"', "timeout": '"2s"', "failures": "3"}),
    "log": (LOG, {"max_size": '"10M"', "keep": "5", "timestamps": "true", "stderr": '"merge"'}),
    "[notify.NAME]": (NOTIFY, {"on": '["failure", "recovery", "late", "give_up"]', "ping": "false"}),
}


@pytest.mark.parametrize("table", DEFAULTS)
def test_the_defaults_are_those_of_the_contract(table: str) -> None:
    keys, promised = DEFAULTS[table]
    assert {name: keys[name].default for name in promised} == promised


def durations(keys: Keys, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Duration]]:
    for name, key in keys.items():
        if isinstance(key.reader, Duration):
            yield (*path, name), key.reader
        yield from durations(key.inside or key.each or {}, (*path, name))


def test_0_is_a_duration_only_where_a_key_says_so() -> None:
    found = dict(durations(TOP))
    assert len(found) > 40
    assert {path[-1] for path, reader in found.items() if reader.zero} == {"stop_timeout", "offset"}
    assert problem('command = "x"\nevery = "0s"') == 'every: found "0s"; expected at least 100ms'
    assert problem('command = "x"\nevery = "1s"\ntimeout = "0s"') == 'timeout: found "0s"; expected more than 0'
    assert job('command = "x"\nstop_timeout = "0s"').supervision.stop_timeout == timedelta(0)


def test_a_signal_means_the_same_in_every_key() -> None:
    for name in ("TERM", "SIGTERM"):
        made = job(f'command = "x"\nstop_signal = "{name}"\nsuccess_exit = ["{name}"]')
        assert (made.supervision.stop_signal, made.supervision.success_exit) == (
            15,
            SuccessExit(codes=frozenset(), signals=frozenset({15})),
        )
        assert parse_signal(name) == 15  # of `jobvisor signal`


IN_ONE_JOB_ALONE = {
    "run": '"a:b"',
    "command": '"x"',
    "args": "[]",
    "kwargs": "{}",
    "shell": "true",
    "every": '"1h"',
    "delay": '"1h"',
    "cron": '"@daily"',
    "at": "2030-01-01T00:00:00Z",
    "group": '"g"',
}


def test_every_other_key_may_be_a_default() -> None:
    for name, value in IN_ONE_JOB_ALONE.items():
        refused = f"jobs.toml:2: defaults.{name}: cannot be a default: it says what one job is; write it in the job"
        assert problems(f'[defaults]\n{name} = {value}\n[jobs.a]\ncommand = "x"\n') == [refused]
    others = {name: key.default for name, key in JOB.items() if name not in IN_ONE_JOB_ALONE}
    assert set(JOB) == {*others, *IN_ONE_JOB_ALONE}
    lines = "".join(f"{name} = {default}\n" for name, default in others.items() if default is not None)
    assert parsed(f'[defaults]\n{lines}[jobs.a]\ncommand = "x"\n').jobs
    for name, default in others.items():
        if default is None:
            told = problems(f"[defaults]\n{name} = 1979-05-27\n")
            assert not [each for each in told if "cannot be a default" in each], name


# -- what a job finds around itself ------------------------------------------------------------------------------------

TELLS = """
import json, os, sys
from supervisor import job

def tell():
    me = {"name": job.name, "run_id": job.run_id, "attempt": job.attempt, "instance": job.instance}
    told = {"path": sys.path, "cwd": os.getcwd(), "environ": dict(os.environ), "me": me, "due": str(job.due)}
    print(json.dumps(told))
"""
MANIFEST = """
[supervisor]
pythonpath = ["lib", "/opt/more"]

[jobs.due]
run = "jobs.tells:tell"
every = "1h"
run_at_start = true
env_file = "some.env"
env = { TWO = "env", JOBVISOR_JOB = "another" }

[jobs.many]
run = "jobs.tells:tell"
restart = "never"
instances = 2

[jobs.untold]
run = "jobs.workers:Untold"
every = "100ms"

[jobs.retried]
run = "jobs.workers:Untold"
every = "1h"
retries = 2

[jobs.restarted]
run = "jobs.tells:tell"
every = "1h"
restart = "never"
"""
WORKERS = """
from supervisor import Worker

class Untold(Worker):
    pass
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with pytest.MonkeyPatch.context() as patched, program(tmp_path_factory.mktemp("words")) as made:
        for name in ("ONE", "TWO", "THREE"):
            patched.setenv(name, "supervisor")
        (made.folder / "some.env").write_text("TWO=file\nTHREE=file\n")
        made.write(MANIFEST, tells=TELLS, workers=WORKERS)
        made.run()
        yield made


def told(app: Program, label: str) -> dict[str, Any]:
    line = eventually(lambda: app.output(label).partition("\n")[0])
    answer: dict[str, Any] = json.loads(line.partition(" ")[2])
    return answer


def test_the_manifests_folder_is_first_on_sys_path_and_pythonpath_adds_more(app: Program) -> None:
    assert told(app, "due")["path"][:3] == [str(app.folder), str(app.folder / "lib"), "/opt/more"]
    assert told(app, "due")["cwd"] == str(app.folder)


def test_the_environment_of_a_job_in_rising_order(app: Program) -> None:
    environ = told(app, "due")["environ"]
    assert [environ[name] for name in ("ONE", "TWO", "THREE")] == ["supervisor", "env", "file"]
    assert environ["JOBVISOR_JOB"] == "due"


def test_jobvisor_instance_tells_which_one_a_process_is(app: Program) -> None:
    for number in (1, 2):
        said = told(app, f"many:{number}")
        assert (said["environ"]["JOBVISOR_INSTANCE"], said["me"]["instance"]) == (str(number), number)


def test_a_job_knows_who_it_is(app: Program) -> None:
    said = told(app, "due")
    row = app.json("history", "due")[0]
    assert said["me"] == {"name": "due", "run_id": row["run_id"], "attempt": 1, "instance": 1}
    assert said["due"].replace(" ", "T").replace("+00:00", "Z") == row["due_at"]
    assert told(app, "many:1")["due"] == "None"


def test_a_scheduled_worker_without_a_tick_is_told(app: Program) -> None:
    app.eventually_job("untold", health="failing")
    eventually(lambda: "Untold has a schedule, so it needs a method tick(self)" in app.output("untold"))


def test_restart_of_a_scheduled_function_and_retries_of_a_worker_are_told_by_check_and_status(app: Program) -> None:
    why = {
        "retried": 'job "retried" (jobs.toml:21): `retries` does not apply to a Worker, which has a restart policy; '
        "use `restart`",
        "restarted": 'job "restarted" (jobs.toml:26): `restart` does not apply to a scheduled function; use `retries`',
    }
    done = app.ctl("check")
    assert (done.returncode, done.stderr.splitlines()) == (1, list(why.values()))
    for name, reason in why.items():
        assert app.eventually_job(name, health="failing")["reason"] == reason


# -- one after the other -----------------------------------------------------------------------------------------------


def test_a_reload_with_a_missing_target_goes_on_with_the_others(tmp_path: Path) -> None:
    with program(tmp_path) as made:
        made.write('[jobs.one]\ncommand = ["sleep", "1000"]\nsettle = "100ms"\n')
        made.run()
        made.write('[jobs.nope]\nrun = "jobs.nope:run"\n[jobs.two]\ncommand = ["sleep", "1001"]\nsettle = "100ms"\n')
        done = made.ctl("reload")
        assert (done.returncode, done.stdout) == (1, "nope: added\ntwo: added\none: removed\n")
        assert made.eventually_job("nope", health="failing")["reason"].endswith(
            f'no module jobs/nope.py under {tmp_path}; create that file with a function named "run"'
        )
        made.eventually_job("two", state="running", health="ok")


STEP = """
command = ["sh", "-c", "trap 'echo {0} ends >> order; exit' TERM; echo {0} begins >> order; echo up; sleep 1000 & wait"]
ready = {{ log = "^up$" }}
success_exit = [0, "SIGTERM"]
"""


def test_what_comes_after_others_starts_after_and_stops_before_them(tmp_path: Path) -> None:
    with program(tmp_path) as made:
        steps = [("last", 'after = ["middle"]'), ("middle", 'after = ["first"]'), ("first", "")]
        made.write("".join(f"[jobs.{name}]{STEP.format(name)}{after}\n" for name, after in steps))
        made.run()
        made.eventually_job("last", state="running")
        made.ctl("stop", "*")
        order = (tmp_path / "order").read_text().splitlines()
        assert order == ["first begins", "middle begins", "last begins", "last ends", "middle ends", "first ends"]
