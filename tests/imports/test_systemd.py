import shutil
from pathlib import Path

import pytest
from imported import Imported, imported, imported_units

from supervisor.errors import JobvisorError
from supervisor.imports.unitfile import for_shell, parse_span


def service(lines: str, unit: str = "", **settings: object) -> Imported:
    return imported(f"[Unit]\n{unit}\n[Service]\nExecStart=/bin/x\n{lines}\n", "web.service", **settings)


def timer(lines: str, beside: str = "[Service]\nType=oneshot\nExecStart=/bin/x a\n") -> Imported:
    files = {"web.service": beside} if beside else {}
    return imported(f"[Timer]\n{lines}\n", "web.timer", files=files)


def test_a_service_is_a_long_lived_job_called_as_the_unit() -> None:
    made = service("", "Description=The web")
    assert made.jobs == {
        "web": {"description": "The web", "command": ["/bin/x"], "restart": "never", "cwd": "/"},
    }
    assert made.notes == []


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("Restart=always", "restart", "always"),
        ("Restart=on-failure", "success_exit", [0, "SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"]),
        ("Type=oneshot\nSuccessExitStatus=75 SIGUSR1", "success_exit", [0, 75, "SIGUSR1"]),
        ("Restart=always\nRestartSec=5", "backoff", {"initial": "5s", "factor": 1.0, "max": "5s"}),
        ("Restart=always\nRestartSec=0", "backoff", "none"),
        (
            "Restart=always\nRestartSec=1\nRestartSteps=3\nRestartMaxDelaySec=1min 4s",
            "backoff",
            {"initial": "1s", "factor": 4.0, "max": "1m4s"},
        ),
        ("Type=notify", "ready", "notify"),
        ("Type=notify\nTimeoutStartSec=90", "start_timeout", "1m30s"),
        ("WatchdogSec=30", "heartbeat", "30s"),
        ("RuntimeMaxSec=1d", "max_age", "1d"),
        ("CPUQuota=20%", "limits", {"cpu": "20%"}),
        ("MemoryMax=512M", "limits", {"memory": "512M"}),
        ("KillSignal=SIGINT", "stop_signal", "SIGINT"),
        ("TimeoutStopSec=1min 30s", "stop_timeout", "1m30s"),
        ("TimeoutStopSec=infinity", "stop_timeout", "none"),
        ("SendSIGKILL=no", "stop_timeout", "none"),
        ("User=root", "user", "root"),
        ("Group=daemon", "group_id", "daemon"),
        ("UMask=0027", "umask", "0027"),
        ("Nice=5", "nice", 5),
        ("WorkingDirectory=-/srv", "cwd", "/srv"),
        ("Environment=A=1 'B=x y'\nEnvironment=A=2", "env", {"A": "2", "B": "x y"}),
        ("LimitNOFILE=1024:4096", "limits", {"open_files": 1024}),
        ("LimitCPU=10min", "limits", {"cpu_time": "10m"}),
        ("LimitCORE=infinity", "limits", {"core": "unlimited"}),
        ("StandardOutput=null", "log", "null"),
        ("StandardInput=file:/etc/hosts", "stdin", "file:/etc/hosts"),
    ],
)
def test_a_setting_has_its_key(line: str, key: str, value: object) -> None:
    assert service(line).job[key] == value


def test_start_limits_count_starts_of_which_the_first_is_no_restart() -> None:
    made = service("Restart=always", "StartLimitIntervalSec=5min\nStartLimitBurst=4").job
    assert (made["max_restarts"], made["within"]) == (3, "5m")
    old = service("Restart=always\nStartLimitInterval=1min").job
    assert (old["max_restarts"], old["within"]) == (4, "1m")
    assert "max_restarts" not in service("Restart=always", "StartLimitIntervalSec=0").job


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/bin/x 'a b' \"c\" \\\n  d", ["/bin/x", "a b", "c", "d"]),
        ("/bin/x %N %% %i", ["/bin/x", "web@2", "%", "2"]),
        ("-/bin/x", ["/bin/x"]),
        ("@/bin/x other -a", ["/bin/x", "-a"]),
        ("!!/bin/x", ["/bin/x"]),
        ("/bin/x ${A}b $C", 'exec /bin/x "${A}"b $C'),
        (":/bin/x $A", "exec /bin/x '$A'"),
    ],
)
def test_a_command_line_is_read_as_systemd_reads_it(line: str, command: object) -> None:
    made = imported(f"[Service]\nExecStart={line}", "web@2.service").job
    assert made["command"] == command
    assert made.get("shell", False) == isinstance(command, str)


def test_variables_are_for_a_shell_what_they_were_for_systemd() -> None:
    assert for_shell("a ${B}c $D 'e ${F}' $$G x$H ''") == "a \"${B}\"c $D 'e '\"${F}\" '$G' 'x$H' ''"


def test_several_commands_of_a_oneshot_follow_each_other() -> None:
    made = imported("[Service]\nType=oneshot\nExecStart=/bin/a 1\nExecStart=/bin/b 'x y'\n", "web.service").job
    assert (made["command"], made["shell"]) == ("/bin/a 1 && /bin/b 'x y'", True)


def test_an_empty_value_takes_back_what_was_set() -> None:
    assert service("ExecStart=\nExecStart=/bin/y").job["command"] == ["/bin/y"]


def test_an_environment_file_is_kept_and_one_that_may_be_missing_only_where_it_is_there() -> None:
    files = {"/etc/default/poller": "A=1"}
    assert service("EnvironmentFile=-/etc/default/poller", files=files).job["env_file"] == "/etc/default/poller"
    made = service("EnvironmentFile=-/etc/default/poller")
    assert "env_file" not in made.job
    assert made.notes_of("EnvironmentFile=-/etc/default/poller")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Type=forking", "stay in the foreground"),
        ("ExecStartPre=/bin/mkdir x", "put it into the command"),
        ("KillMode=process", "ends with it"),
        ("Restart=on-abort", '"on-failure" is the nearest'),
        ("PrivateTmp=yes\nProtectSystem=strict", "PrivateTmp, ProtectSystem: Jobvisor does not sandbox"),
        ("StandardOutput=file:/x", "web.log in the log_dir"),
        ("Colour=red", "Colour=red: nothing here is like it"),
        ("TimeoutStopSec=soon", '"soon" is no time span'),
        ("ExecStart=/bin/x %H\n", "only the machine knows it"),
        ("WorkingDirectory=%h/app", "WorkingDirectory: %h stands as it was written"),
        ("ExecReload=/bin/kill -HUP $MAINPID", "`jobvisor signal web HUP`"),
        ("ExecReload=/usr/bin/x reload", "`jobvisor signal web SIGNAL`"),
        ("ExecStop=/bin/x stop", "put it into the command"),
    ],
)
def test_what_is_lost_is_told_with_its_unit(lines: str, said: str) -> None:
    assert service(lines).notes_of(said)


def test_a_percent_sign_that_is_doubled_stands_for_itself_and_is_no_specifier() -> None:
    made = service("ExecStart=\nExecStart=/bin/date +%%s")
    assert made.job["command"] == ["/bin/date", "+%s"]
    assert not made.notes_of("only the machine")


@pytest.mark.parametrize(
    ("line", "signal"),
    [
        ("/bin/kill -QUIT $MAINPID", "QUIT"),
        ("kill -s SIGINT ${MAINPID}", "INT"),
        ("/usr/bin/kill --signal=HUP $MAINPID", "HUP"),
        ("-/bin/kill $MAINPID", "TERM"),
    ],
)
def test_a_stop_that_is_a_signal_is_the_stop_signal(line: str, signal: str) -> None:
    made = service(f"ExecStop={line}")
    assert made.job["stop_signal"] == signal
    assert not made.notes_of("ExecStop")


def test_units_that_fail_for_others_are_notified_here() -> None:
    assert service("", "OnFailure=mail@%n.service").notes_of("a [notify.NAME] tells of failures")


UP = "[Service]\nExecStart=/bin/x\n"


def test_units_start_after_those_of_the_imported_that_they_name() -> None:
    made = imported_units(
        web_service=f"[Unit]\nAfter=network.target db.service cache.service\nRequires=db.service\n{UP}",
        db_service=f"[Unit]\nBefore=mail.service\n{UP}",
        cache_service=UP,
        mail_service=UP,
    )
    after = {name: job.get("after") for name, job in made.jobs.items()}
    assert after == {"web": ["db", "cache"], "db": None, "cache": None, "mail": ["db"]}
    assert made.notes == ["web: After=network.target: for the unit that runs Jobvisor; its jobs start with it"]


def test_a_unit_that_is_bound_to_another_is_told_of_groups() -> None:
    made = imported_units(web_service=f"[Unit]\nBindsTo=db.service\nAfter=db.service\n{UP}", db_service=UP)
    assert made.jobs["web"]["after"] == ["db"]
    (note,) = made.notes
    assert note.startswith("web: BindsTo=db.service: it is not stopped or restarted with that one; ")
    assert "rest_for_one" in note


def test_units_that_wait_for_each_other_or_for_a_timer_are_told() -> None:
    made = imported_units(
        a_service=f"[Unit]\nAfter=b.service t.service\n{UP}",
        b_service=f"[Unit]\nAfter=a.service\n{UP}",
        t_service="[Service]\nType=oneshot\nExecStart=/bin/x\n",
        t_timer="[Timer]\nOnCalendar=daily\n",
    )
    assert {name: job.get("after") for name, job in made.jobs.items()} == {"a": ["b"], "b": None, "t": None}
    assert made.notes_of("a: After=t.service: t runs by a schedule, and that is not waited for")
    assert made.notes_of("b: After=a.service: left out, as a starts after b")


def test_a_timer_and_its_service_are_one_job_whichever_comes_first() -> None:
    units = {"t_service": "[Service]\nType=oneshot\nExecStart=/bin/x\n", "t_timer": "[Timer]\nOnCalendar=daily\n"}
    for texts in (units, dict(reversed(units.items()))):
        assert {name: job["cron"] for name, job in imported_units(**texts).jobs.items()} == {"t": "0 0 * * *"}


def test_notes_of_a_service_that_several_schedules_start_stand_once() -> None:
    made = timer("OnCalendar=daily\nOnCalendar=Mon 12:00", "[Service]\nType=oneshot\nExecStart=/bin/x\nColour=red\n")
    assert list(made.jobs) == ["web", "web-2"]
    assert len(made.notes_of("Colour=red")) == 1


def test_what_the_machine_has_to_do_with_it_is_for_the_unit_that_runs_jobvisor() -> None:
    assert service("", "After=network-online.target\nRequires=db.service").notes_of("for the unit that runs Jobvisor")


def test_a_timer_says_when_the_service_beside_it_runs() -> None:
    made = timer("OnCalendar=*-*-* 6,18:00\nRandomizedDelaySec=30min\nPersistent=true")
    assert made.document == {
        "supervisor": {"timezone": "local"},
        "jobs": {"web": {"command": "/bin/x a", "cron": "0 6,18 * * *", "jitter": "30m", "cwd": "/"}},
    }
    assert made.notes == []


def test_a_service_with_a_timer_beside_it_is_scheduled() -> None:
    made = imported("[Service]\nExecStart=/bin/x", "a.service", files={"a.timer": "[Timer]\nOnUnitActiveSec=1d\n"})
    assert made.job["every"] == "1d"


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ("OnUnitActiveSec=5min", {"every": "5m"}),
        ("OnUnitInactiveSec=90", {"delay": "1m30s"}),
        ("OnBootSec=15min\nOnUnitActiveSec=1d", {"every": "1d", "run_at_start": True}),
        ("OnBootSec=5min", {"cron": "@reboot"}),
        ("OnCalendar=daily", {"cron": "0 0 * * *", "missed": "skip"}),
        ("OnCalendar=daily UTC\nPersistent=yes", {"cron": "0 0 * * *", "timezone": "UTC"}),
        ("OnCalendar=*:*:0/10", {"every": "10s", "align": "clock", "missed": "skip"}),
    ],
)
def test_a_timer_has_a_schedule(lines: str, keys: dict[str, object]) -> None:
    made = timer(lines).job
    assert {key: value for key, value in made.items() if key not in {"command", "cwd"}} == keys


def test_each_further_schedule_is_a_job_of_its_own() -> None:
    made = timer("OnCalendar=Mon 06:00\nOnCalendar=Tue 18:00")
    assert [job["cron"] for job in made.jobs.values()] == ["0 6 * * mon", "0 18 * * tue"]
    assert list(made.jobs) == ["web", "web-2"]


def test_a_timer_alone_starts_the_unit() -> None:
    made = timer("OnCalendar=daily", beside="")
    assert made.job["command"] == ["systemctl", "start", "--wait", "web.service"]
    assert made.notes_of("web.service is not beside the timer")


def test_a_schedule_that_cron_cannot_say_is_told_and_makes_no_job() -> None:
    made = timer("OnCalendar=Fri *-*-13")
    assert made.jobs == {}
    assert made.notes_of("OnCalendar=Fri *-*-13: both a weekday and days of the month")


def test_a_oneshot_that_a_timer_starts_has_its_time_out() -> None:
    made = timer(
        "OnUnitActiveSec=1h", "[Service]\nType=oneshot\nExecStart=/bin/x\nTimeoutStartSec=10min\nRestart=always"
    )
    assert made.job["timeout"] == "10m"
    assert made.notes_of("`retries`")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1min 30s", 90), ("1.5h", 5400), ("2w", 1_209_600), ("250ms", 0.25)]
)
def test_time_spans(text: str, seconds: float) -> None:
    length = parse_span(text)
    assert length is not None
    assert length.total_seconds() == seconds


def test_a_unit_that_can_be_no_job_is_refused() -> None:
    with pytest.raises(JobvisorError, match="without \\[Service\\] and \\[Timer\\]"):
        imported("[Unit]\nDescription=x\n[Mount]\nWhat=y", "x.service")


UNITS = sorted(
    path
    for kind in ("service", "timer")
    for path in Path("/usr/lib/systemd/system").glob(f"*.{kind}")
    if path.is_file()
)


@pytest.mark.skipif(shutil.which("systemctl") is None or not UNITS, reason="this machine has no systemd")
def test_every_unit_of_this_machine_becomes_a_manifest_that_holds() -> None:
    for path in UNITS:
        text = path.read_text()
        if "[Service]" not in text and "[Timer]" not in text:
            continue
        beside = {
            other.name: other.read_text()
            for other in (path.with_suffix(".service"),)
            if path.suffix == ".timer" and other.exists()
        }
        assert imported(text, path.name, files=beside).text
