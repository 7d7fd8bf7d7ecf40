import pytest
from manifests import job, parsed

from supervisor.core.differences import Effect, differences, effect, emptied, in_force, settings_differences
from supervisor.core.kind import Kind
from supervisor.values import replace

LASTING = ('command = "x"', Kind.COMMAND)
PERIODIC = ('command = "x"\nevery = "5m"', Kind.COMMAND)
WORKER = ('run = "a:B"\nevery = "5m"', Kind.WORKER)


@pytest.mark.parametrize(
    ("base", "line", "takes"),
    [
        (LASTING, 'cwd = "/"', Effect.RESTART),
        (LASTING, 'env = { A = "1" }', Effect.RESTART),
        (LASTING, 'log = { max_size = "1M" }', Effect.RESTART),
        (LASTING, 'backoff = { initial = "1s" }', Effect.LIVE),
        (LASTING, "max_restarts = 3", Effect.LIVE),
        (LASTING, 'description = "new"', Effect.LIVE),
        (LASTING, 'stop_timeout = "1m"', Effect.NEXT_RUN),
        (LASTING, "enabled = false", Effect.STOP),
        (LASTING, 'every = "5m"', Effect.RESTART),
        (PERIODIC, 'cwd = "/"', Effect.NEXT_RUN),
        (PERIODIC, 'timeout = "1m"', Effect.NEXT_RUN),
        (PERIODIC, 'backoff = { initial = "1s" }', Effect.NEXT_RUN),
        (PERIODIC, 'overlap = "queue"', Effect.LIVE),
        (PERIODIC, 'offset = "1m"', Effect.LIVE),
        (WORKER, 'env = { A = "1" }', Effect.RESTART),
        (WORKER, 'timezone = "Europe/Berlin"', Effect.LIVE),
    ],
    ids=str,
)
def test_each_key_shows_in_its_time(base: tuple[str, Kind], line: str, takes: Effect) -> None:
    lines, kind = base
    old, new = job(lines), job(f"{lines}\n{line}")
    assert effect(old, new, kind) is takes
    assert [each.effect for each in differences(old, new, kind)] == [takes] * len(differences(old, new, kind))
    assert differences(old, new, kind)


def test_the_strongest_effect_is_that_of_the_job() -> None:
    new = job('command = "y"\ndescription = "new"\nsettle = "2s"')
    found = differences(job('command = "x"'), new, Kind.COMMAND)
    assert [(each.key, each.before, each.after, each.effect) for each in found] == [
        ("description", "", "new", Effect.LIVE),
        ("command", ["x"], ["y"], Effect.RESTART),
        ("settle", "1s", "2s", Effect.NEXT_RUN),
    ]
    assert effect(job('command = "x"'), new, Kind.COMMAND) is Effect.RESTART


def test_a_job_that_only_moved_in_its_file_has_not_changed() -> None:
    (old,) = parsed('[jobs.one]\ncommand = "x"').jobs
    (new,) = parsed('# a line more\n[jobs.one]\n# and one\ncommand = "x"').jobs
    assert old != new
    assert effect(old, new, Kind.COMMAND) is Effect.NONE


def test_a_variable_is_named_and_its_value_is_not() -> None:
    old, new = job('command = "x"\nenv = { A = "old", B = "b" }'), job('command = "x"\nenv = { A = "new", C = "c" }')
    found = {each.key: (each.before, each.after) for each in differences(old, new, Kind.COMMAND)}
    assert found == {
        "env.A": ("(hidden)", "(hidden)"),
        "env.B": ("(hidden)", None),
        "env.C": (None, "(hidden)"),
    }


def test_settings_show_at_once_with_new_code_or_at_the_next_start() -> None:
    one = '[jobs.one]\ncommand = "x"\n'
    old = parsed(one)
    text = f'{one}[supervisor]\nmax_running = 3\npreload = ["a"]\nlog_dir = "x"\nlog = {{ level = "DEBUG" }}\n'
    found = {each.key: each.effect for each in settings_differences(old, parsed(text))}
    assert found == {
        "max_running": Effect.LIVE,
        "preload": Effect.CODE,
        "log_dir": Effect.NEXT_START,
        "log.level": Effect.NEXT_START,
    }


def test_what_waits_for_new_code_or_the_next_start_is_told_again_until_then() -> None:
    one = '[jobs.one]\ncommand = "x"\n'
    old = parsed(one)
    new = parsed(f'{one}[supervisor]\nmax_running = 3\npreload = ["a"]\nlog_dir = "x"\nlog = {{ level = "DEBUG" }}\n')
    waiting = {False: {"preload", "log_dir", "log.level"}, True: {"log_dir", "log.level"}}
    for code, keys in waiting.items():
        now = replace(new, settings=in_force(old.settings, new.settings, code=code))
        assert {each.key for each in settings_differences(now, new)} == keys
        assert {each.key for each in settings_differences(now, old)} == {"max_running", "preload"} - keys


@pytest.mark.parametrize("text", ["", "\n", "# jobs.toml\n"])
def test_a_file_with_nothing_in_it_is_no_edit_that_removes_its_jobs(text: str) -> None:
    many = parsed("".join(f'[jobs.{name}]\ncommand = "x"\n' for name in "abcd"), more='[jobs.e]\ncommand = "x"\n')
    hint = "was it saved whole? A file without jobs says so by an empty [jobs]"
    assert emptied(many, parsed(text, more='[jobs.e]\ncommand = "x"\n')) == (
        f"jobs.toml:1: it is empty, and jobs were in it (a, b, c, …); {hint}",
    )
    assert emptied(many, parsed("[jobs]", more=text)) == (
        f"jobs.d/more.toml:1: it is empty, and jobs were in it (e); {hint}",
    )


def test_one_that_says_anything_and_one_that_had_no_jobs_are_believed() -> None:
    one = parsed('[jobs.a]\ncommand = "x"\n')
    for text in ("[jobs]", "[supervisor]", "[defaults]", "include = []", '[jobs.b]\ncommand = "x"\n'):
        assert emptied(one, parsed(text)) == ()
    assert emptied(parsed(""), parsed("")) == ()
    assert emptied(one, parsed('[jobs.a]\ncommand = "x"\n', more="")) == ()


def test_an_address_is_shown_by_its_host_alone() -> None:
    text = '[jobs.one]\ncommand = "x"\n[notify.ops]\nwebhook = "https://user:pw@example.com/secret"\n'
    found = {
        each.key: (each.before, each.after)
        for each in settings_differences(parsed(text), parsed(text.replace("secret", "other")))
    }
    assert found == {"notify.ops.webhook": ("https://example.com/…", "https://example.com/…")}


def test_a_groups_keys_are_told_with_its_name() -> None:
    text = '[jobs.one]\ncommand = "x"\ngroup = "web"\n[groups.web]\n'
    edited = text + 'strategy = "one_for_all"\nmax_restarts = 3\n'
    found = {
        each.key: (each.before, each.after, each.effect) for each in settings_differences(parsed(text), parsed(edited))
    }
    assert found == {
        "groups.web.strategy": ("one_for_one", "one_for_all", Effect.LIVE),
        "groups.web.max_restarts": (None, 3, Effect.LIVE),
    }
