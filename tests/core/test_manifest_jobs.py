from datetime import UTC, datetime, timedelta

import pytest
from manifests import LOCAL, job, parsed, problem, problems

from supervisor.core.checks import (
    CommandProbe,
    HealthCheck,
    HttpProbe,
    LogMatch,
    OnUnhealthy,
    Readiness,
    TcpProbe,
    Told,
)
from supervisor.core.exits import SuccessExit
from supervisor.core.job import (
    Backoff,
    Command,
    Kind,
    Limit,
    LogFiles,
    LogMode,
    Missed,
    OnGiveUp,
    Overlap,
    Restart,
    Run,
    kind_problem,
)
from supervisor.core.schedule import At, Cron, Delay, Every, Reboot, zone_name

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


# -- what runs ---------------------------------------------------------------------------------------------------------


def test_a_target_gets_its_arguments() -> None:
    made = job('run = "jobs.mail:send"\nargs = [1, "a", [true]]\nkwargs = {url = "http://x", depth = {n = 1.5}}')
    assert made.target == Run(
        target="jobs.mail:send", args=(1, "a", [True]), kwargs={"url": "http://x", "depth": {"n": 1.5}}
    )


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ('["prog", "an arg"]', ("prog", "an arg")),
        ("\"prog 'an arg' b\\\\ c\"", ("prog", "an arg", "b c")),
        ('"echo $HOME | cat"', ("echo", "$HOME", "|", "cat")),
    ],
)
def test_a_command_is_words_and_no_shell_runs(written: str, argv: tuple[str, ...]) -> None:
    assert job(f"command = {written}").target == Command(argv=argv)


def test_with_shell_the_string_is_left_to_the_shell() -> None:
    made = job('command = "echo it\'s # fine"\nshell = true')
    assert made.target == Command(argv=("echo it's # fine",), shell=True)  # noqa: S604  # a value, nothing runs here


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", "nothing says what runs; give the job `run` or `command`"),
        ('command = "x"\nrun = "a:b"', "run: a job runs one thing; it has `command` already"),
        ('command = "it\'s"', 'command: "it\'s" cannot be split as a shell would: no closing quotation'),
        ("command = \"'' x\"", "command: found \"'' x\"; expected the name of a program first"),
        ("command = []", 'command: found an array; expected an array such as ["prog", "arg"], or one string'),
        ('command = ""', 'command: found ""; expected an array such as ["prog", "arg"], or one string'),
        ('command = ["x", 1]', "command[1]: found 1; expected a string without NUL characters"),
        ('command = ["x"]\nshell = true', "command: found an array; expected one string, as shell = true"),
        (
            'run = "a.b"',
            'run: found "a.b"; expected "package.module:name", a function or a Worker class; did you mean "a:b"?',
        ),
        (
            'run = "jobs/mail.py:send"',
            (
                'run: found "jobs/mail.py:send"; expected "package.module:name", a function or a Worker class'
                '; did you mean "jobs.mail:send"?'
            ),
        ),
        ('run = "a-b:c"', 'run: found "a-b:c"; expected "package.module:name", a function or a Worker class'),
        ('run = "a:b"\nargs = {}', "args: found a table; expected an array"),
        (
            'run = "a:b"\nkwargs = {x = [2026-01-01]}',
            "kwargs.x[0]: found 2026-01-01; a date or time cannot be an argument, quote it",
        ),
        ('run = "a:b"\nargs = [0x1ffffffffffffffff]', "args[0]: a number of more than 64 bits"),
        ('command = "x"\nargs = []', "args: applies to `run` alone"),
        ('run = "a:b"\nshell = true', "shell: applies to `command` alone"),
    ],
)
def test_what_cannot_run_is_refused_with_the_reason(lines: str, why: str) -> None:
    assert problem(lines) == why


def test_arguments_nested_deeper_than_json_is_read_are_refused() -> None:
    deep = "kwargs." + ".".join("a" * 3000) + " = 1"
    assert "nested deeper than 64 levels" in problem(f'run = "a:b"\n{deep}')


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "schedule"),
    [
        ("", None),
        ('every = "5m"', Every(interval=5 * MINUTE)),
        ('every = "1h"\noffset = "10m"\nalign = "clock"', Every(interval=HOUR, offset=10 * MINUTE, align_clock=True)),
        ('every = "100ms"\noffset = "0s"', Every(interval=SECOND / 10)),
        ('delay = "5m"', Delay(delay=5 * MINUTE)),
        ('cron = "@reboot"', Reboot()),
        ("at = 2026-12-01T10:00:00Z", At(at=datetime(2026, 12, 1, 10, tzinfo=UTC))),
        ("at = 2026-12-01T10:00:00+02:00", At(at=datetime(2026, 12, 1, 8, tzinfo=UTC))),
        ("at = 2026-12-01T10:00:00", At(at=datetime(2026, 12, 1, 10, tzinfo=UTC))),
        ('at = 2026-12-01 10:00:00\ntimezone = "Europe/Berlin"', At(at=datetime(2026, 12, 1, 9, tzinfo=UTC))),
        ('at = 2026-10-25 02:30:00\ntimezone = "Europe/Berlin"', At(at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))),
    ],
)
def test_a_job_has_one_schedule_or_none(lines: str, schedule: object) -> None:
    assert job(f'command = "x"\n{lines}').schedule == schedule


def test_a_cron_job_stands_in_its_zone_else_in_the_supervisors() -> None:
    lines = 'command = "x"\ncron = "0 2 * * *"'
    for made, name in [
        (job(lines), "UTC"),
        (job(lines, settings='timezone = "Europe/Berlin"'), "Europe/Berlin"),
        (job(lines, settings='timezone = "local"'), LOCAL),
        (job(lines, defaults='timezone = "Asia/Kolkata"', settings='timezone = "local"'), "Asia/Kolkata"),
        (job(f'{lines}\ntimezone = "local"', defaults='timezone = "Asia/Kolkata"'), LOCAL),
    ]:
        assert isinstance(made.schedule, Cron)
        assert zone_name(made.schedule.zone) == name


def test_a_local_time_that_the_clock_jumps_over_is_due_after_the_jump_and_warned_of() -> None:
    made = parsed('[jobs.one]\ncommand = "x"\nat = 2026-03-29T02:30:00\ntimezone = "Europe/Berlin"')
    assert made.jobs[0].schedule == At(at=datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    assert made.warnings == (
        (
            "jobs.toml:3: jobs.one.at: 2026-03-29 02:30:00 does not exist in Europe/Berlin"
            ", the clock jumps over it; due at 2026-03-29T03:30:00+02:00"
        ),
    )


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('every = "5x"', 'every: "5x" is not a duration: unknown unit "x"; expected e.g. "90s", "5m", "1h30m"'),
        ("every = 5", 'every: found 5; the unit is missing: write "5s", "5m" or "5h"'),
        ("every = true", 'every: found true; expected a duration such as "90s", "5m", "1h30m"'),
        ('every = "99ms"', 'every: found "99ms"; expected at least 100ms'),
        ('delay = "0s"', 'delay: found "0s"; expected at least 100ms'),
        ('every = "5m"\ndelay = "5m"', "delay: a job has at most one schedule; it has `every` already"),
        ('every = "5m"\noffset = "5m"', "offset: must be less than `every`, 5m"),
        ('every = "5m"\nalign = "epoch"', 'align: found "epoch"; expected "clock"'),
        ('delay = "5m"\nalign = "clock"', "align: applies to `every` alone"),
        ("cron = 5", "cron: found 5; expected a string that is not empty"),
        (
            'at = "2026-12-01"',
            'at: found "2026-12-01"; expected a date and time such as 2026-12-01T10:00:00Z (without quotes)',
        ),
        ("at = 2026-12-01", "at: found 2026-12-01; expected a date and time such as 2026-12-01T10:00:00Z"),
        ("at = 10:00:00", "at: found 10:00:00; expected a date and time such as 2026-12-01T10:00:00Z"),
        (
            "at = 0001-01-01T00:00:00+10:00",
            "at: found 0001-01-01 00:00:00+10:00; expected a date within the years 1 to 9999 of UTC",
        ),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(lines: str, why: str) -> None:
    assert problem(f'command = "x"\n{lines}') == why


def test_a_bad_expression_and_an_unknown_zone_are_both_told() -> None:
    cron, zone = problems('[jobs.one]\ncommand = "x"\ncron = "0 25 * * *"\ntimezone = "Mars/Base"')
    assert cron.startswith('jobs.toml:3: jobs.one.cron: "0 25 * * *" is not a schedule: ')
    assert zone.startswith('jobs.toml:4: jobs.one.timezone: unknown time zone "Mars/Base"')


def test_every_rule_of_a_run_is_read() -> None:
    timing = job("""\
        command = "x"
        every = "1h"
        run_at_start = true
        jitter = "30s"
        overlap = "allow"
        max_parallel = 3
        missed = "all"
        missed_within = "2h"
        missed_limit = 7
        late_after = "10m"
        expect_success_within = "26h"
        retries = 4
        timeout = "1m"
        deadline = "5m"
        pause_after_failures = 5
        timezone = "local"
    """).timing
    assert timing.run_at_start
    assert (timing.jitter, timing.timezone) == (30 * SECOND, "local")
    assert (timing.overlap, timing.max_parallel) == (Overlap.ALLOW, 3)
    assert (timing.missed, timing.missed_within, timing.missed_limit) == (Missed.ALL, 2 * HOUR, 7)
    assert (timing.late_after, timing.expect_success_within) == (10 * MINUTE, 26 * HOUR)
    assert (timing.retries, timing.timeout, timing.deadline, timing.pause_after_failures) == (4, MINUTE, 5 * MINUTE, 5)


def test_a_key_without_effect_is_warned_of_where_the_job_itself_has_it() -> None:
    text = """\
[defaults]
max_parallel = 2
missed = "skip"
[jobs.one]
command = "x"
every = "1m"
missed_limit = 2
missed_within = "1h"
[jobs.two]
command = "x"
every = "1m"
max_parallel = 2
"""
    assert parsed(text).warnings == (
        'jobs.toml:7: jobs.one.missed_limit: has no effect without missed = "all"',
        'jobs.toml:8: jobs.one.missed_within: has no effect with missed = "skip"',
        'jobs.toml:12: jobs.two.max_parallel: has no effect without overlap = "allow"',
    )


# -- supervision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("always", Restart.ALWAYS),
        ("permanent", Restart.ALWAYS),
        ("on-failure", Restart.ON_FAILURE),
        ("transient", Restart.ON_FAILURE),
        ("never", Restart.NEVER),
        ("temporary", Restart.NEVER),
    ],
)
def test_the_words_of_otp_mean_the_same(word: str, meaning: Restart) -> None:
    assert job(f'command = "x"\nrestart = "{word}"').supervision.restart is meaning


@pytest.mark.parametrize(
    ("lines", "limit"),
    [
        ("", Limit(max_restarts=None, within=MINUTE)),
        ('backoff = "none"', Limit(max_restarts=5, within=MINUTE)),
        ('backoff = "none"\nmax_restarts = 0\nwithin = "5s"', Limit(max_restarts=0, within=5 * SECOND)),
        ("max_restarts = 3", Limit(max_restarts=3, within=MINUTE)),
    ],
)
def test_restarts_are_limited_where_nothing_slows_them_down(lines: str, limit: Limit) -> None:
    assert job(f'command = "x"\n{lines}').supervision.limit == limit


@pytest.mark.parametrize(
    ("written", "backoff"),
    [
        ("{}", Backoff()),
        ('"none"', None),
        (
            '{initial = "1s", factor = 3, max = "1m", jitter = 0}',
            Backoff(initial=SECOND, factor=3.0, max=MINUTE, jitter=0.0),
        ),
        ('{initial = "1m"}', Backoff(initial=MINUTE, max=MINUTE)),
    ],
)
def test_backoff_is_a_table_or_none(written: str, backoff: Backoff | None) -> None:
    assert job(f'command = "x"\nbackoff = {written}').supervision.backoff == backoff


def test_how_a_job_is_stopped_and_judged_is_read() -> None:
    rules = job("""\
        command = "x"
        success_exit = [0, 75, "SIGTERM", "INT"]
        on_give_up = "escalate"
        stop_signal = "SIGINT"
        stop_timeout = "0s"
        settle = "3s"
    """).supervision
    assert rules.success_exit == SuccessExit(frozenset({0, 75}), frozenset({15, 2}))
    assert rules.on_give_up is OnGiveUp.ESCALATE
    assert (rules.stop_signal, rules.stop_timeout, rules.settle) == (2, timedelta(0), 3 * SECOND)
    assert job('command = "x"\nstop_timeout = "none"').supervision.stop_timeout is None


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            'restart = "alway"',
            'restart: found "alway"; expected one of "always", "on-failure", "never"; did you mean "always"?',
        ),
        ("restart = true", 'restart: found true; expected one of "always", "on-failure", "never"'),
        ('backoff = "off"', 'backoff: found "off"; expected "none" or a table'),
        ('backoff = {initial = "2m", max = "1m"}', "backoff.initial: must not be longer than `max`, 1m"),
        ("backoff = {factor = 0.5}", "backoff.factor: found 0.5; expected a number from 1 to 1000"),
        ("backoff = {factor = nan}", "backoff.factor: found nan; expected a number from 1 to 1000"),
        ("backoff = {jitter = true}", "backoff.jitter: found true; expected a number from 0 to 1"),
        ('backoff = {initial = "0s"}', 'backoff.initial: found "0s"; expected more than 0'),
        ('backoff = {inital = "1s"}', 'backoff.inital: unknown key; did you mean "initial"?'),
        (
            "success_exit = [256]",
            "success_exit[0]: found 256; expected an exit code from 0 to 255, or the name of a signal",
        ),
        (
            "success_exit = [0, true]",
            "success_exit[1]: found true; expected an exit code from 0 to 255, or the name of a signal",
        ),
        (
            'success_exit = ["SIGTREM"]',
            (
                'success_exit[0]: "SIGTREM" is not a signal: expected the name of a signal, e.g. "TERM", "SIGUSR1"'
                '; did you mean "SIGTERM"?'
            ),
        ),
        ("stop_signal = 15", 'stop_signal: found 15; expected the name of a signal, such as "TERM"'),
        (
            'stop_timeout = "never"',
            (
                'stop_timeout: "never" is not a duration: a number is missing before never'
                '; expected e.g. "90s", "5m", "1h30m"'
            ),
        ),
        ("max_restarts = -1", "max_restarts: found -1; expected a whole number from 0 to 1000000"),
        ("max_restarts = true", "max_restarts: found true; expected a whole number from 0 to 1000000"),
        ("instances = 0", "instances: found 0; expected a whole number from 1 to 1000"),
        ("instances = 1001", "instances: found 1001; expected a whole number from 1 to 1000"),
        ("instances = 2.0", "instances: found 2.0; expected a whole number from 1 to 1000"),
        ('enabled = "no"', 'enabled: found "no"; expected true or false'),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(lines: str, why: str) -> None:
    assert problem(f'command = "x"\n{lines}') == why


# -- process and output ------------------------------------------------------------------------------------------------


def test_the_process_gets_its_folder_and_its_variables_over_those_of_the_file() -> None:
    files = {"/app/conf/a.env": "A=file\nB='x y'\n"}
    text = '[jobs.one]\ncommand = "x"\ncwd = "work"\nenv_file = "conf/a.env"\nenv = {A = "own", "C.d" = ""}'
    (made,) = parsed(text, files).jobs
    assert made.process.env == {"A": "own", "B": "x y", "C.d": ""}
    assert made.process.cwd == "/app/work"
    assert job('command = "x"').process.cwd == "/app"
    assert job('command = "x"\ncwd = "/srv/../opt"').process.cwd == "/opt"


def test_a_tilde_is_a_character_like_any_other() -> None:
    assert job('command = "x"\ncwd = "~/x"').process.cwd == "/app/~/x"


def test_what_is_wrong_with_variables_is_told_without_their_values() -> None:
    told = problems('[jobs.one]\ncommand = "x"\nenv = {A = 12345, "B=C" = "12345", D = "12345\\u0000"}')
    assert told == [
        "jobs.toml:3: jobs.one.env.A: found no string; put the value in quotes",
        'jobs.toml:3: jobs.one.env."B=C": that cannot be the name of an environment variable',
        "jobs.toml:3: jobs.one.env.D: a NUL character cannot stand in it",
    ]


def test_a_file_of_variables_that_is_missing_or_bad_is_a_problem_where_it_is_named() -> None:
    text = '[jobs.one]\ncommand = "x"\nenv_file = "no.env"\n[jobs.two]\ncommand = "x"\nenv_file = "bad.env"'
    missing, first, second = problems(text, {"/app/bad.env": "A=1\nsecret\nB=2\nC='secret"})
    assert missing == "jobs.toml:3: jobs.one.env_file: cannot read /app/no.env: No such file or directory"
    assert first.startswith("jobs.toml:6: jobs.two.env_file: /app/bad.env:2: expected NAME=value")
    assert second.startswith("jobs.toml:6: jobs.two.env_file: /app/bad.env:4: the value's quotes do not close")
    assert "secret" not in first + second


@pytest.mark.parametrize(
    ("written", "log"),
    [
        ("{}", LogFiles()),
        (
            '{max_size = "1M", keep = 0, timestamps = false, stderr = "separate"}',
            LogFiles(max_size=2**20, keep=0, timestamps=False, merge_stderr=False),
        ),
        ('{stderr = "merge"}', LogFiles()),
        ('"inherit"', LogMode.INHERIT),
        ('"journal"', LogMode.JOURNAL),
        ('"null"', LogMode.NULL),
    ],
)
def test_output_goes_to_files_or_to_the_supervisors_or_nowhere(written: str, log: object) -> None:
    assert job(f'command = "x"\nlog = {written}').log == log


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('"nul"', 'log: found "nul"; expected one of "inherit", "journal", "null" or a table; did you mean "null"?'),
        ("{max_size = 10}", 'log.max_size: found 10; the unit is missing: write "10K", "10M" or "10G"'),
        ('{max_size = "1B"}', 'log.max_size: found "1B"; expected at least "1K"'),
        (
            '{stderr = "apart"}',
            'log.stderr: found "apart"; expected one of "merge", "separate"; did you mean "separate"?',
        ),
    ],
)
def test_output_that_can_go_nowhere_is_refused(written: str, why: str) -> None:
    assert problem(f'command = "x"\nlog = {written}') == why


# -- the kind of a job -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", '"UTC"'),
        ("run_at_start", "true"),
        ("jitter", '"1s"'),
        ("overlap", '"skip"'),
        ("missed", '"once"'),
        ("late_after", '"1m"'),
        ("expect_success_within", '"1h"'),
        ("retries", "3"),
        ("timeout", '"1m"'),
        ("deadline", '"1m"'),
        ("pause_after_failures", "3"),
    ],
)
def test_rules_of_runs_are_refused_on_a_long_lived_job_and_left_out_as_defaults(name: str, value: str) -> None:
    assert problem(f'command = "x"\n{name} = {value}').startswith(
        f"{name}: applies to scheduled jobs alone; give the job"
    )
    assert job('command = "x"', defaults=f"{name} = {value}") == job('command = "x"', defaults="instances = 1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("restart", '"never"'), ("max_restarts", "1"), ("within", '"1s"'), ("on_give_up", '"escalate"')],
)
def test_rules_of_processes_are_refused_on_a_scheduled_command_and_left_out_as_defaults(name: str, value: str) -> None:
    lines = 'command = "x"\nevery = "1m"'
    assert problem(f"{lines}\n{name} = {value}") == (
        f"{name}: applies to long-lived jobs and Workers alone; a scheduled command has `retries`"
    )
    assert job(lines, defaults=f"{name} = {value}") == job(lines, defaults="instances = 1")


def test_only_an_import_tells_whether_a_scheduled_target_may_have_restart_or_retries() -> None:
    target = 'run = "a:b"\nevery = "1m"'
    retried, restarted = job(f"{target}\nretries = 2"), job(f'{target}\nrestart = "never"\nmax_restarts = 1')
    assert kind_problem(retried, Kind.FUNCTION) is None
    assert kind_problem(retried, Kind.WORKER) == (
        'job "one" (jobs.toml:5): `retries` does not apply to a Worker, which has a restart policy; use `restart`'
    )
    assert kind_problem(restarted, Kind.WORKER) is None
    assert kind_problem(restarted, Kind.FUNCTION) == (
        'job "one" (jobs.toml:5): `max_restarts`, `restart` does not apply to a scheduled function; use `retries`'
    )


def test_defaults_of_the_other_kind_are_no_problem_once_the_kind_is_known() -> None:
    made = job('run = "a:b"\nevery = "1m"', defaults='retries = 2\nrestart = "never"')
    assert kind_problem(made, Kind.FUNCTION) is None
    assert kind_problem(made, Kind.WORKER) is None


def test_a_long_lived_target_may_have_restart_whatever_it_is() -> None:
    made = job('run = "a:b"\nrestart = "never"')
    assert [kind_problem(made, kind) for kind in Kind] == [None] * len(Kind)


# -- defaults ----------------------------------------------------------------------------------------------------------


def test_tables_of_the_defaults_merge_key_by_key_and_arrays_are_replaced() -> None:
    defaults = """\
        env = {A = "default", B = "default"}
        backoff = {initial = "2s", max = "20s"}
        log = {keep = 1, timestamps = false}
        success_exit = [0, 3]
    """
    made = job("""\
        command = "x"
        env = {B = "own", C = "own"}
        backoff = {max = "10s"}
        log = {keep = 2}
        success_exit = [4]
    """, defaults)  # fmt: skip
    assert made.process.env == {"A": "default", "B": "own", "C": "own"}
    assert made.supervision.backoff == Backoff(initial=2 * SECOND, max=10 * SECOND)
    assert made.log == LogFiles(keep=2, timestamps=False)
    assert made.supervision.success_exit == SuccessExit(frozenset({4}))


def test_a_word_replaces_a_table_and_a_table_a_word() -> None:
    assert job('command = "x"\nbackoff = "none"', 'backoff = {max = "1h"}').supervision.backoff is None
    assert job('command = "x"\nbackoff = {}', 'backoff = "none"').supervision.backoff == Backoff()
    assert job('command = "x"\nlog = {keep = 3}', 'log = "null"').log == LogFiles(keep=3)


def test_jobs_do_not_see_each_others_tables_through_the_defaults() -> None:
    text = '[defaults.env]\nA = "1"\n[jobs.one]\ncommand = "x"\nenv = {B = "2"}\n[jobs.two]\ncommand = "x"'
    one, two = parsed(text).jobs
    assert one.process.env == {"A": "1", "B": "2"}
    assert two.process.env == {"A": "1"}


@pytest.mark.parametrize(
    "line",
    ['run = "a:b"', 'command = "x"', "args = []", "kwargs = {}", "shell = true", 'every = "1m"', 'delay = "1m"',
     'cron = "@daily"', "at = 2026-12-01T10:00:00Z"],
)  # fmt: skip
def test_what_one_job_is_cannot_be_a_default(line: str) -> None:
    (told,) = problems(f'[defaults]\n{line}\n[jobs.one]\ncommand = "y"')
    name = line.partition(" ")[0]
    assert told == (f"jobs.toml:2: defaults.{name}: cannot be a default: it says what one job is; write it in the job")


def test_a_mistake_in_the_defaults_is_told_once_and_not_for_every_job() -> None:
    text = """\
[defaults]
timezone = "Mars/Base"
backoff = {initial = "2m", max = "1m"}
env_file = "no.env"
retries = "many"
nice = "high"
evry = "5m"
""" + "".join(f'[jobs.job{index}]\ncommand = "x"\ncron = "@daily"\n' for index in range(3))
    assert [told.partition(": ")[2].partition(":")[0] for told in problems(text)] == [
        "defaults.timezone",
        "defaults.backoff.initial",
        "defaults.env_file",
        "defaults.retries",
        "defaults.nice",
        "defaults.evry",
    ]


def test_a_default_that_does_not_go_with_the_jobs_own_value_is_told_at_the_job() -> None:
    told = problem('command = "x"\nevery = "5m"', defaults='offset = "10m"')
    assert told == "`offset` of [defaults] must be less than `every`, 5m"


def test_a_key_that_was_meant_counts_when_the_kind_of_a_job_is_told() -> None:
    text = '[jobs.one]\ncomand = "x"\nevry = "5m"\nretries = 1'
    assert problems(text) == [
        'jobs.toml:2: jobs.one.comand: unknown key; did you mean "command"?',
        'jobs.toml:3: jobs.one.evry: unknown key; did you mean "every"?',
    ]


# -- ready, health -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "probe"),
    [
        ('"notify"', Told.NOTIFY),
        ('{ http = "http://[::1]:80/x?y" }', HttpProbe("http://[::1]:80/x?y")),
        ('{ tcp = "db.local:5432" }', TcpProbe("db.local:5432")),
        ("{ command = \"pg_isready -h 'a b'\" }", CommandProbe(("pg_isready", "-h", "a b"))),
        ('{ log = "listening on \\\\d+" }', LogMatch(r"listening on \d+")),
    ],
)
def test_a_job_is_ready_by_one_of_five_ways(written: str, probe: Readiness) -> None:
    assert job(f'command = "x"\nready = {written}').supervision.ready == probe


def test_health_has_a_probe_and_a_rhythm() -> None:
    written = '{ tcp = "a:1", every = "1s", timeout = "1s", failures = 1, action = "report" }'
    assert job(f'command = "x"\nhealth = {written}').supervision.health == HealthCheck(
        probe=TcpProbe("a:1"), every=SECOND, timeout=SECOND, failures=1, action=OnUnhealthy.REPORT
    )


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("ready = {}", "ready: names no probes; expected one of http, tcp, command, log"),
        ('ready = { tcp = "a:1", log = "x" }', "ready: names 2 probes; expected one of http, tcp, command, log"),
        ('ready = { log = "(" }', 'ready.log: "(" is not a regular expression: '),
        ('ready = { tcp = "a" }', 'ready.tcp: found "a"; expected host and port such as "127.0.0.1:5432"'),
        ('ready = { tcp = "a:70000" }', 'ready.tcp: found "a:70000"; expected host and port'),
        ('ready = { http = "ftp://x/" }', 'ready.http: found "ftp://x/"; expected an address such as'),
        ('ready = { log = "x" }\nlog = "null"', "ready: cannot look at the output"),
        ('health = { every = "1s" }', "health: names no probes; expected one of http, tcp, command"),
        ('health = { log = "x", tcp = "a:1" }', "health.log: unknown key"),
        ('ready = "notify"\nevery = "1m"', "ready: applies to long-lived jobs and Workers alone"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(lines: str, told: str) -> None:
    assert problem(f'command = "x"\n{lines}').startswith(told)
