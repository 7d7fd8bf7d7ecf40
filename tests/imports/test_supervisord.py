import pytest
from imported import Imported, imported

from supervisor.errors import JobvisorError


def program(lines: str, name: str = "web", **settings: object) -> Imported:
    return imported(f"[program:{name}]\n{lines}", **settings)


def job(lines: str) -> dict[str, object]:
    """One job's keys without those that every program has."""
    made = program(f"command=x\nredirect_stderr=true\n{lines}").job
    return {key: value for key, value in made.items() if key != "command"}


def test_a_program_is_a_long_lived_job_that_supervisord_restarts_after_an_unexpected_end() -> None:
    assert program("command=/bin/serve --name 'a b' ; the server").job == {
        "command": ["/bin/serve", "--name", "a b"],
        "restart": "on-failure",
        "log": {"stderr": "separate"},
    }


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("autorestart=true", "restart", "always"),
        ("autorestart=unexpected", "restart", "on-failure"),
        ("autorestart=false", "restart", "never"),
        ("autostart=false", "enabled", False),
        ("startsecs=5", "settle", "5s"),
        ("exitcodes=0,2", "success_exit", [0, 2]),
        ("stopsignal=QUIT", "stop_signal", "QUIT"),
        ("stopwaitsecs=30", "stop_timeout", "30s"),
        ("user=www-data", "user", "www-data"),
        ("umask=022", "umask", "022"),
        ("directory=/srv", "cwd", "/srv"),
        ("numprocs=3\nprocess_name=%(program_name)s_%(process_num)d", "instances", 3),
        ("stdout_logfile=NONE", "log", "null"),
        ("stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0", "log", "inherit"),
        ("stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=3", "log", {"max_size": "1M", "keep": 3}),
        ("environment=A=\"x,y\",B='z'\n  ,C=1", "env", {"A": "x,y", "B": "z", "C": "1"}),
    ],
)
def test_an_option_has_its_key(line: str, key: str, value: object) -> None:
    assert job(line)[key] == value


@pytest.mark.parametrize("line", ["stopasgroup=true", "killasgroup=true", "priority=1"])
def test_what_always_is_so_needs_no_key_and_no_note(line: str) -> None:
    made = program(f"command=x\n{line}")
    assert made.job == program("command=x").job
    assert made.notes == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("startretries=3", "max_restarts"),
        ("stdout_syslog=true", "output goes to files"),
        ("stopsignal=NOSUCH", "`stop_signal`"),
        ("stdout_logfile=/var/log/web.log", "web.log in the log_dir"),
        ("colour=red", "nothing here is like it"),
        ("directory=%(ENV_NOWHERE)s", "cannot be expanded"),
    ],
)
def test_what_is_lost_is_told_with_its_program(line: str, said: str) -> None:
    (note,) = program(f"command=x\n{line}").notes
    assert note.startswith(f"web: {line.partition('%')[0]}")
    assert said in note


def test_programs_that_differ_by_their_number_are_jobs_of_their_own() -> None:
    made = program("command=x --port=80%(process_num)02d\nnumprocs=2\nnumprocs_start=1\nstartretries=9")
    assert {name: each["command"] for name, each in made.jobs.items()} == {
        "web_01": ["x", "--port=8001"],
        "web_02": ["x", "--port=8002"],
    }
    assert len(made.notes) == 1


def test_what_stands_in_percent_signs_is_expanded() -> None:
    made = program("command=%(here)s/%(program_name)s %(ENV_HOME)s 100%%", environ={"HOME": "/home/ada"})
    assert made.job["command"] == ["/here/web", "/home/ada", "100%"]


def test_jobs_stand_in_the_order_of_priorities() -> None:
    made = imported("[program:b]\ncommand=x\n[program:a]\ncommand=x\npriority=5\n[program:c]\ncommand=x")
    assert list(made.jobs) == ["a", "b", "c"]
    assert made.notes_of("priority")


def test_the_settings_of_supervisord_for_all_are_defaults() -> None:
    made = imported('[supervisord]\nloglevel=warn\nenvironment=A="1"\nlogfile=/x\n[program:a]\ncommand=x\n')
    assert made.document["supervisor"] == {"log": {"level": "WARNING"}}
    assert made.document["defaults"] == {"env": {"A": "1"}}
    assert made.notes_of("[supervisord] logfile")


def test_included_files_are_read_and_those_that_are_not_there_told() -> None:
    made = imported(
        "[supervisord]\n[include]\nfiles = conf.d/*.conf nowhere/*.conf",
        files={"conf.d/a.conf": "[program:a]\ncommand=x", "conf.d/b.conf": "[program:b]\ncommand=x"},
    )
    assert list(made.jobs) == ["a", "b"]
    assert made.notes_of("nowhere/*.conf")


def test_what_has_no_counterpart_is_told() -> None:
    made = imported("[program:a]\ncommand=x\n[inet_http_server]\nport=9001\n[eventlistener:e]\ncommand=y\n")
    assert list(made.jobs) == ["a"]
    assert made.notes_of("[inet_http_server]")
    assert made.notes_of("[eventlistener:e]")


def test_errors_are_kept_where_output_alone_goes_nowhere() -> None:
    made = program("command=x\nstdout_logfile=NONE\nstderr_logfile=/var/log/web.err")
    assert made.job["log"] == {"stderr": "separate"}
    assert made.notes_of("stdout_logfile=NONE: it is kept, as stderr is")
    for line in ("stderr_logfile=NONE", "redirect_stderr=true"):
        assert program(f"command=x\nstdout_logfile=NONE\n{line}").job["log"] == "null"


def test_an_event_listener_is_told_of_notifiers() -> None:
    made = imported("[program:a]\ncommand=x\n[eventlistener:e]\ncommand=y\n")
    assert made.notes == ["[eventlistener:e]: left out; a [notify.NAME] tells of failures"]


@pytest.mark.parametrize(
    ("lines", "group"),
    [
        ("chmod=0770\nchown=root:ops", "ops"),
        ("chmod=660\nchown=:ops", "ops"),
        ("chmod=0700\nchown=root:ops", None),
        ("chmod=0750\nchown=root:ops", None),
        ("chmod=0770\nchown=root", None),
        ("chown=root:ops", None),
    ],
)
def test_a_group_that_may_use_the_socket_still_may(lines: str, group: str | None) -> None:
    made = imported(f"[unix_http_server]\nfile=/run/s.sock\n{lines}\n[program:a]\ncommand=x\n")
    assert made.manifest.settings.socket_group == group
    assert made.notes_of("[unix_http_server]: Jobvisor has a socket of its own")


def test_a_program_without_a_command_is_left_out() -> None:
    made = imported("[program:a]\nuser=root\n[program:b]\ncommand=x 'y\n[program:c]\ncommand=x")
    assert list(made.jobs) == ["c"]
    assert len(made.notes_of("left out")) == 2


def test_a_file_that_cannot_be_read_is_said_with_its_line() -> None:
    with pytest.raises(JobvisorError, match=r"a-file: not a supervisord\.conf: .*line"):
        imported("[program:a]\nwithout a sign")
