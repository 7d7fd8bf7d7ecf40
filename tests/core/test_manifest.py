from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import job, parsed, problems, surroundings

from supervisor.core.job import Limit
from supervisor.core.manifest import Manifest, Positions, Settings, Source, parse
from supervisor.core.manifest.elsewhere import ELSEWHERE
from supervisor.core.manifest.keys import BACKOFF, HISTORY, JOB, LOG, OWN_LOG, SUPERVISOR, TOP
from supervisor.core.manifest.tables import Key, Only

ONE = '[jobs.one]\ncommand = "x"\n'


def settings(lines: str) -> Settings:
    return parsed(f"[supervisor]\n{lines}\n{ONE}").settings


# -- [supervisor] ------------------------------------------------------------------------------------------------------


def test_without_a_word_the_supervisor_keeps_everything_beside_the_manifest() -> None:
    assert settings("") == Settings(
        state_dir="/app/.jobvisor", log_dir="/app/.jobvisor/logs", socket="/app/.jobvisor/control.sock"
    )


def test_every_setting_is_read() -> None:
    made = settings("""\
        preload = ["app.models", "json"]
        state_dir = "state"
        log_dir = "/var/log/app"
        socket = "../run/x.sock"
        timezone = "local"
        max_running = 4
        vitals = "off"
        pythonpath = ["src", "/opt/lib"]
        log = {level = "debug", file = "own.log", max_size = "1M", keep = 2}
        stop_timeout = "1m"
        max_restarts = 3
        within = "10s"
        history = {keep = "7d", keep_runs = 50}
    """)
    assert made == Settings(
        preload=("app.models", "json"),
        state_dir="/app/state",
        log_dir="/var/log/app",
        socket="/run/x.sock",
        timezone="local",
        max_running=4,
        vitals=None,
        pythonpath=("/app/src", "/opt/lib"),
        log_level="DEBUG",
        log_file="/app/own.log",
        log_max_size=2**20,
        log_keep=2,
        stop_timeout=timedelta(minutes=1),
        root_limit=Limit(max_restarts=3, within=timedelta(seconds=10)),
        history_keep=timedelta(days=7),
        history_keep_runs=50,
    )


def test_logs_and_socket_follow_the_state_dir() -> None:
    made = settings('state_dir = "/var/lib/app"')
    assert (made.log_dir, made.socket) == ("/var/lib/app/logs", "/var/lib/app/control.sock")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("preload = [1, 'a-b', 'ok']", 'preload[0]: found 1; expected the name of a module, such as "package.module"'),
        ('state_dir = ""', 'state_dir: found ""; expected a string that is not empty'),
        ('timezone = "Mars/Base"', 'timezone: unknown time zone "Mars/Base"'),
        ('vitals = "of"', 'vitals: "of" is not a duration'),
        ("vitals = 10", 'vitals: found 10; the unit is missing: write "10s", "10m" or "10h" or "off"'),
        ("max_running = 0", "max_running: found 0; expected a whole number from 1 to 100000"),
        ('log = "INFO"', 'log: found "INFO"; expected a table'),
        ('log = {level = "WARN"}', 'log.level: found "WARN"; expected one of "TRACE", "DEBUG", '),
        ('stop_timeout = "0s"', 'stop_timeout: found "0s"; expected more than 0'),
        ('stop_timeout = "none"', 'stop_timeout: "none" is not a duration'),
        ('socket_group = ""', 'socket_group: found ""; expected the name or the number of a group'),
        ("history = {keep_rins = 1}", 'history.keep_rins: unknown key; did you mean "keep_runs"?'),
    ],
)
def test_a_bad_setting_is_refused_with_what_was_expected(line: str, why: str) -> None:
    assert problems(f"[supervisor]\n{line}\n{ONE}")[0].startswith(f"jobs.toml:2: supervisor.{why}")


def test_all_bad_elements_of_an_array_are_told() -> None:
    told = problems(f'[supervisor]\npreload = ["a-b",\n"ok",\n7]\n{ONE}')
    assert [line.partition(": found")[0] for line in told] == [
        "jobs.toml:2: supervisor.preload[0]",
        "jobs.toml:4: supervisor.preload[2]",
    ]


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_jobs_stand_in_the_order_of_the_files() -> None:
    made = parsed('[jobs.b]\ncommand = "x"\n[jobs.a]\ncommand = "x"', one=ONE, two='[jobs.two]\ncommand = "x"')
    assert [(each.name, each.where) for each in made.jobs] == [
        ("b", "jobs.toml:1"),
        ("a", "jobs.toml:3"),
        ("one", "jobs.d/one.toml:1"),
        ("two", "jobs.d/two.toml:1"),
    ]


def test_every_problem_is_told_at_once_sorted_by_file_and_line() -> None:
    main = """\
[jobs.backup]
evry = "5m"
retries = true
run = "a:b"

[supervisor]
timezone = "Mars/Base"
log = {level = 1}

[defaults]
timeout = 5

[jobs."bad name"]
command = 3
"""
    told = problems(main, sub='[supervisor]\n[jobs.x]\nevery = "1x"\n')
    assert [line.split(": ")[:2] for line in told] == [
        ["jobs.toml:2", "jobs.backup.evry"],
        ["jobs.toml:3", "jobs.backup.retries"],
        ["jobs.toml:7", "supervisor.timezone"],
        ["jobs.toml:8", "supervisor.log.level"],
        ["jobs.toml:11", "defaults.timeout"],
        ["jobs.toml:13", 'jobs."bad name"'],
        ["jobs.toml:14", 'jobs."bad name".command'],
        ["jobs.d/sub.toml:1", "supervisor"],
        ["jobs.d/sub.toml:2", "jobs.x"],
        ["jobs.d/sub.toml:3", "jobs.x.every"],
    ]
    assert told[0] == 'jobs.toml:2: jobs.backup.evry: unknown key; did you mean "every"?'


def test_a_name_given_twice_is_told_with_both_places() -> None:
    assert problems(f"\n{ONE}", sub=ONE) == [
        "jobs.d/sub.toml:1: jobs.one: the name is given twice; the other job is at jobs.toml:2"
    ]


@pytest.mark.parametrize("name", ["a", "9", "a-b_C9", "x" * 64])
def test_a_name_is_of_letters_digits_and_two_marks(name: str) -> None:
    assert parsed(f'[jobs.{name}]\ncommand = "x"').jobs[0].name == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a:1", "a*", "é", "a\\n", "x" * 65, "a/b", "."])
def test_other_names_are_refused(name: str) -> None:
    (told,) = problems(f'[jobs."{name}"]\ncommand = "x"')
    assert "not a name: expected ASCII letters, digits, _ and -" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[job.one]", 'jobs.toml:1: job: unknown key; did you mean "jobs"?'),
        ("[[jobs]]", "jobs.toml:1: jobs: found an array; expected tables such as [jobs.backup]"),
        ("jobs.one = 3", "jobs.toml:1: jobs.one: found 3; expected a table"),
        ("[[jobs.one]]", "jobs.toml:1: jobs.one: found an array; expected a table"),
        ("supervisor = 3", "jobs.toml:1: supervisor: found 3; expected a table"),
        ("defaults = []", "jobs.toml:1: defaults: found an array; expected a table"),
        ("include = 'x'", 'jobs.toml:1: include: found "x"; expected an array of paths or patterns'),
        ("include = ['x', 3]", "jobs.toml:1: include[1]: found 3; expected a string that is not empty"),
    ],
)
def test_what_does_not_belong_at_the_top_is_refused(text: str, told: str) -> None:
    assert problems(text) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[defaults]", "defaults: belongs in jobs.toml; an included file adds jobs, groups and notifiers"),
        ("include = []", "include: belongs in jobs.toml; an included file adds jobs, groups and notifiers"),
        ("[job.x]", 'job: unknown key in an included file; did you mean "jobs"?'),
    ],
)
def test_an_included_file_adds_jobs_and_groups_alone(text: str, told: str) -> None:
    assert problems(ONE, sub=text) == [f"jobs.d/sub.toml:1: {told}"]


def test_a_manifest_without_jobs_holds_and_is_warned_of() -> None:
    made = parsed("")
    assert made.jobs == ()
    assert made.warnings == ("jobs.toml:1: there are no jobs in it",)


def test_a_problem_is_one_line_and_harmless_to_a_terminal_whatever_the_value() -> None:
    (told,) = problems('[jobs.one]\ncommand = "x"\nrestart = "a\\n\\u001b[31m\\u009b' + "x" * 500 + '"')
    assert told.isprintable()
    assert len(told) < 250


def test_a_huge_number_is_refused_without_being_written_out() -> None:
    text = '[jobs.one]\ncommand = "x"\nevery = "1m"\nretries = 0x' + "f" * 9000
    assert problems(text) == [
        "jobs.toml:4: jobs.one.retries: found a number of more than 64 bits; expected a whole number from 0 to 1000"
    ]


# -- the tables of keys ------------------------------------------------------------------------------------------------

BASES = {
    Only.ANY: 'command = "x"',
    Only.SCHEDULED: 'command = "x"\nevery = "1m"',
    Only.EVERY: 'command = "x"\nevery = "1m"',
    Only.RUN: 'run = "a:b"',
    Only.COMMAND: 'command = "x"',
    Only.LASTING: 'command = "x"',
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, key in JOB.items() if key.default is not None])
def test_a_jobs_default_is_what_its_table_of_keys_says(name: str, key: Key) -> None:
    base = BASES[key.only]
    (plain,) = parsed(f"[jobs.one]\n{base}").jobs
    (written,) = parsed(f"[jobs.one]\n{base}\n{name} = {key.default}").jobs
    for part in (
        "target",
        "schedule",
        "supervision",
        "timing",
        "process",
        "log",
        "instances",
        "enabled",
        "description",
    ):
        assert getattr(written, part) == getattr(plain, part)


@pytest.mark.parametrize("name", [name for name, key in SUPERVISOR.items() if key.default is not None])
def test_a_settings_default_is_what_its_table_of_keys_says(name: str) -> None:
    assert settings(f"{name} = {SUPERVISOR[name].default}") == settings("")


@pytest.mark.parametrize(("table", "keys"), [("backoff", BACKOFF), ("log", LOG)])
def test_the_defaults_of_a_jobs_inner_tables_are_what_their_tables_of_keys_say(
    table: str, keys: dict[str, Key]
) -> None:
    inner = ", ".join(f"{name} = {key.default}" for name, key in keys.items())
    written, plain = job(f'command = "x"\n{table} = {{{inner}}}'), job('command = "x"')
    assert (written.supervision, written.log) == (plain.supervision, plain.log)


@pytest.mark.parametrize(("table", "keys"), [("log", OWN_LOG), ("history", HISTORY)])
def test_the_defaults_of_inner_settings_are_what_their_tables_of_keys_say(table: str, keys: dict[str, Key]) -> None:
    inner = ", ".join(f"{name} = {key.default}" for name, key in keys.items() if key.default is not None)
    assert settings(f"{table} = {{{inner}}}") == settings("")


# -- anything ----------------------------------------------------------------------------------------------------------


def words(keys: dict[str, Key]) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(keys)) | st.text(max_size=5)


SCALARS = (
    st.booleans()
    | st.integers()
    | st.just(1 << 200)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["5m", "1h", "none", "always", "a:b", "TERM", "* * * * *", "clock", "10M", "UTC", "local", "no.env"]
    )
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
)


def tables(keys: dict[str, Key]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables whose keys are mostly known ones, and whose values are anything."""
    inner = {
        name: tables(dict(key.inside)) for name, key in keys.items() if key.inside is not None and key.inside is not JOB
    }
    anything = st.recursive(
        SCALARS,
        lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=3),
        max_leaves=5,
    )
    value = st.one_of(anything, *inner.values())
    return st.dictionaries(words(keys), value, max_size=6)


JOB_TABLES = tables(dict(JOB))
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "supervisor": tables(dict(SUPERVISOR)) | SCALARS,
        "defaults": JOB_TABLES | SCALARS,
        "jobs": st.dictionaries(st.sampled_from(["a", "b", "b d", ""]), JOB_TABLES | SCALARS, max_size=3) | SCALARS,
        "include": st.lists(SCALARS, max_size=2) | SCALARS,
        "groups": SCALARS,
    },
)


@given(st.lists(DOCUMENTS, min_size=1, max_size=2), st.dictionaries(words(dict(TOP)), SCALARS, max_size=2))
def test_whatever_toml_gives_the_parser_returns_a_manifest_or_problems(
    documents: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    sources = [
        Source(file=f"{index}.toml", document=document | (more if index else {}), positions=Positions(""))
        for index, document in enumerate(documents)
    ]
    found = parse(sources, surroundings({"/app/5m": "A=1"}))
    if not isinstance(found, Manifest):
        assert found
        for problem in found:
            assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("startsecs = 5", "settle"),
        ("numprocs = 2", "instances"),
        ('OnCalendar = "daily"', "cron"),
        ('WorkingDirectory = "/srv"', "cwd"),
        ('depends_on = ["db"]', "after"),
        ('MAILTO = "ada"', "notify"),
    ],
)
def test_a_key_that_another_program_has_is_answered_with_ours(line: str, key: str) -> None:
    (problem,) = problems(f'[jobs.a]\ncommand = "x"\n{line}\n')
    assert problem == f'jobs.toml:3: jobs.a.{line.split(maxsplit=1)[0]}: unknown key; did you mean "{key}"?'


def test_each_key_of_another_program_leads_to_one_of_ours_and_hides_none() -> None:
    assert set(ELSEWHERE.values()) <= JOB.keys()
    assert not ELSEWHERE.keys() & JOB.keys()
