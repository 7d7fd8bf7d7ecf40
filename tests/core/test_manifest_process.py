"""What a job's table says of its process: user, group, umask, priority, input, limits."""

from datetime import timedelta

import pytest
from manifests import job, problem

from supervisor.core.job import UNLIMITED, Limits, Process


def process(lines: str, defaults: str = "") -> Process:
    return job(f'command = "x"\n{lines}', defaults=defaults).process


def test_a_job_that_says_nothing_has_all_as_the_supervisor_has_it() -> None:
    assert process("") == Process(cwd="/app")


def test_user_and_group_are_names_or_numbers() -> None:
    made = process('user = "www-data"\ngroup_id = 33')
    assert (made.user, made.group) == ("www-data", 33)
    assert process("user = 0").user == 0


def test_a_umask_is_octal() -> None:
    assert process('umask = "027"').umask == 0o027
    assert process('umask = "0"').umask == 0


def test_priority_and_input() -> None:
    assert process("nice = -5").nice == -5
    assert process('stdin = "null"').stdin is None
    assert process('stdin = "file:in/data.csv"').stdin == "/app/in/data.csv"


def test_limits_are_sizes_times_and_counts() -> None:
    text = 'limits = {memory = "512M", cpu = "150%", cpu_time = "10m", open_files = 1024, processes = 64, core = "0"}'
    assert process(text).limits == Limits(
        memory=512 << 20, cpu=150, cpu_time=timedelta(minutes=10), open_files=1024, processes=64, core=0
    )
    assert process('limits = {core = "unlimited"}').limits == Limits(core=UNLIMITED)
    assert process('limits = {core = "2G"}').limits == Limits(core=2 << 30)


def test_limits_of_the_defaults_and_of_the_job_merge_key_by_key() -> None:
    made = process("limits = {processes = 3}", defaults="limits = {processes = 9, open_files = 64}")
    assert made.limits == Limits(processes=3, open_files=64)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('user = ""', 'user: found ""; expected the name or the number of a user'),
        ("user = -1", "user: found -1; expected the name or the number of a user"),
        ("user = 4294967295", "user: found 4294967295; expected the name or the number of a user"),
        ("user = true", "user: found true; expected the name or the number of a user"),
        ('user = "a:b"', 'user: found "a:b"; expected the name or the number of a user'),
        ("group_id = []", "group_id: found an array; expected the name or the number of a group"),
        ("umask = 22", 'umask: found 22; expected octal digits in quotes, such as "027"'),
        ('umask = "8"', 'umask: found "8"; expected octal digits in quotes, such as "027"'),
        ('umask = "1777"', 'umask: found "1777"; expected octal digits in quotes, such as "027"'),
        ("nice = 20", "nice: found 20; expected a whole number from -20 to 19"),
        ('nice = "5"', 'nice: found "5"; expected a whole number from -20 to 19'),
        ('stdin = "tty"', 'stdin: found "tty"; expected "null" or "file:PATH"'),
        ('stdin = "file:"', 'stdin: found "file:"; expected "null" or "file:PATH"'),
        ("limits = 5", "limits: found 5; expected a table"),
        ("limits = {memroy = 5}", 'limits.memroy: unknown key; did you mean "memory"?'),
        ('limits = {core = "1"}', 'limits.core: found "1"; expected at least "1K"'),
        ("limits = {cpu = 50}", 'limits.cpu: found 50; expected a percentage in quotes, from "1%" to "100000%"'),
        ('limits = {cpu = "0%"}', 'limits.cpu: found "0%"; expected a percentage in quotes, from "1%" to "100000%"'),
        ('limits = {cpu_time = "10ms"}', 'limits.cpu_time: found "10ms"; expected at least 1s'),
        ("limits = {open_files = 0}", "limits.open_files: found 0; expected a whole number from 8 to 1000000000"),
        ("limits = {processes = 0}", "limits.processes: found 0; expected a whole number from 1 to 4000000"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(lines: str, why: str) -> None:
    assert problem(f'command = "x"\n{lines}') == why
